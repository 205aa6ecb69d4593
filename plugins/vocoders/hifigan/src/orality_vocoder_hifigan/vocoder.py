"""Units to speech, one exact pass per length: padding would reach the edges of an item."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from orality import OralityError, Units, UnitSpec, Waveform
from orality_vocoder_hifigan.folder import Folder

MOST_FRAMES = 60 * 60 * 25  # an hour at 25 Hz: more is a predictor gone wild, not speech
FRAMES_AT_ONCE = 4096


class UnitHifiGan:
    """A unit HiFi-GAN with its embeddings and duration predictor; `modules` as loading.py fills."""

    def __init__(
        self,
        folder: Folder,
        modules: nn.ModuleDict,
        *,
        predict_durations: bool,
        given_durations: bool = False,
        speaker: int = 0,
        style: int = 0,
    ) -> None:
        self._folder = folder
        self._modules = modules
        self._predict = predict_durations
        self._given = given_durations
        # code, speaker, style: the order the generator was trained with
        rows = (("dict", None), ("spkr", speaker), ("style", style))
        self._tables = [(_table(modules[name]), row) for name, row in rows if name in modules]
        self._device = self._tables[0][0].device

    @property
    def sample_rate(self) -> int:
        """The rate, in Hz, of what it speaks."""
        return self._folder.sample_rate

    @property
    def unit_spec(self) -> UnitSpec:
        """What units it understands."""
        return self._folder.unit_spec

    def synthesize(self, batch: Sequence[Units]) -> list[Waveform]:
        """Speak each item: float32 in [-1, 1], (frames * hop,); an empty item gives no samples.

        Negative ids are left out, as the original does. Raises OralityError for ids beyond the
        codebook, several codebooks, or durations that do not fit.
        """
        frames = [self._frames(units, number) for number, units in enumerate(batch)]
        groups: defaultdict[int, list[int]] = defaultdict(list)
        for number, ids in enumerate(frames):
            groups[len(ids)].append(number)
        spoken: list[NDArray[np.float32]] = [np.zeros(0, np.float32)] * len(batch)
        for length, numbers in groups.items():
            size = max(1, FRAMES_AT_ONCE // max(length, 1))
            for start in range(0, len(numbers) if length else 0, size):
                part = numbers[start : start + size]
                for number, samples in zip(
                    part, self._speak([frames[i] for i in part]), strict=True
                ):
                    spoken[number] = samples
        return [Waveform(samples, self.sample_rate) for samples in spoken]

    @torch.inference_mode()
    def durations(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """How many frames the predictor gives each unit: (units,) to the same."""
        embedded = self._modules["dict"](torch.from_numpy(ids).to(self._device)[None])
        frames: NDArray[np.int64] = self._modules["dur_predictor"](embedded)[0].cpu().numpy()
        return frames

    def _frames(self, units: Units, number: int) -> NDArray[np.int64]:
        """The unit of every frame of one item."""
        ids = np.asarray(units.ids, np.int64)
        if ids.ndim == 2 and ids.shape[1] == 1:
            ids = ids[:, 0]
        if ids.ndim != 1:
            raise OralityError(f"item {number}: got ids of shape {ids.shape}, wanted (num_units,)")
        real = ids >= 0
        size = len(self._tables[0][0])
        if ids.max(initial=-1) >= size:
            raise OralityError(
                f"item {number}: got unit {ids.max()}, this vocoder knows 0 to {size - 1}; do "
                "tokenizer, slm and vocoder share a codebook?"
            )
        if self._given and units.durations is not None:
            lengths = np.asarray(units.durations, np.int64)
            if lengths.shape != ids.shape or lengths.min(initial=0) < 0:
                raise OralityError(
                    f"item {number}: got durations of shape {lengths.shape} for {len(ids)} units, "
                    "wanted as many, none of them negative"
                )
            lengths = lengths[real]
        elif self._predict and real.any():
            lengths = self.durations(ids[real])
        else:
            return ids[real]
        if lengths.sum() > MOST_FRAMES:
            raise OralityError(
                f"item {number}: {len(lengths)} units would last {lengths.sum()} frames, more than "
                f"{MOST_FRAMES}; speak it in parts, or check the duration predictor"
            )
        return np.repeat(ids[real], lengths)

    @torch.inference_mode()
    def _speak(self, frames: Sequence[NDArray[np.int64]]) -> NDArray[np.float32]:
        """Items of equal length: (batch, frames) to (batch, frames * hop)."""
        ids = torch.from_numpy(np.stack(frames)).to(self._device)
        parts = [
            table[ids] if row is None else table[row].expand(*ids.shape, -1)
            for table, row in self._tables
        ]
        samples: NDArray[np.float32] = self._modules["body"](torch.cat(parts, -1)).cpu().numpy()
        return samples


def _table(module: nn.Module) -> torch.Tensor:
    assert isinstance(module, nn.Embedding)
    return module.weight
