"""Units to speech: ids to frames, frames to what the generator reads, and that to samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from orality import OralityError, Units, UnitSpec, Waveform
from orality_vocoder_hifigan.batching import generate
from orality_vocoder_hifigan.folder import Folder

MOST_FRAMES = 60 * 60 * 25  # an hour at 25 Hz: more is a predictor gone wild, not speech


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
        speaker_vector: torch.Tensor | None = None,
        f0: float | None = None,
    ) -> None:
        self._folder = folder
        self._modules = modules
        self._predict = predict_durations
        self._given = given_durations
        self._codes = _table(modules["dict"])
        self._device = self._codes.device
        self._f0 = f0
        # What is the same in every frame, in the order the generator was trained with.
        constant = []
        if speaker_vector is not None:
            constant.append(modules["spkr"](speaker_vector.to(self._device)))
        elif "spkr" in modules:
            constant.append(_table(modules["spkr"])[speaker])
        if "style" in modules:
            constant.append(_table(modules["style"])[style])
        self._constant = torch.cat(constant) if constant else self._codes.new_zeros(0)

    @property
    def sample_rate(self) -> int:
        """The rate, in Hz, of what it speaks."""
        return self._folder.sample_rate

    @property
    def unit_spec(self) -> UnitSpec:
        """What units it understands."""
        return self._folder.unit_spec

    @torch.inference_mode()
    def synthesize(self, batch: Sequence[Units]) -> list[Waveform]:
        """Speak each item: float32 in [-1, 1], (frames * hop,); an empty item gives no samples.

        Negative ids are left out, as the original does. Raises OralityError for ids beyond the
        codebook, another number of codebooks, or durations that do not fit.
        """
        read = [self._read(self._frames(units, number)) for number, units in enumerate(batch)]
        spoken = generate(self._modules["body"], read)
        return [Waveform(samples.cpu().numpy(), self.sample_rate) for samples in spoken]

    @torch.inference_mode()
    def durations(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """How many frames the predictor gives each unit: (units,) to the same."""
        embedded = self._codes[torch.from_numpy(ids).to(self._device)][None]
        frames: NDArray[np.int64] = self._modules["dur_predictor"](embedded)[0].cpu().numpy()
        return frames

    def _frames(self, units: Units, number: int) -> NDArray[np.int64]:
        """What is said in every frame of one item: (frames, codebooks)."""
        ids = self._checked(units, number)
        real = ids[:, 0] >= 0
        if self._given and units.durations is not None:
            lengths = np.asarray(units.durations, np.int64)
            if lengths.shape != real.shape or lengths.min(initial=0) < 0:
                raise OralityError(
                    f"item {number}: got durations of shape {lengths.shape} for {len(ids)} units, "
                    "wanted as many, none of them negative"
                )
            lengths = lengths[real]
        elif self._predict and real.any():
            lengths = self.durations(ids[real, 0])
        else:
            return ids[real]
        if lengths.sum() > MOST_FRAMES:
            raise OralityError(
                f"item {number}: {len(lengths)} units would last {lengths.sum()} frames, more than "
                f"{MOST_FRAMES}; speak it in parts, or check the duration predictor"
            )
        return np.repeat(ids[real], lengths, axis=0)

    def _checked(self, units: Units, number: int) -> NDArray[np.int64]:
        """The ids, (num_units, codebooks), each inside its codebook or, the first, negative."""
        ids = np.asarray(units.ids, np.int64)
        wanted = self.unit_spec.num_codebooks
        if ids.ndim == 1 and (wanted == 1 or not len(ids)):
            ids = ids.reshape(-1, wanted)
        if ids.ndim != 2 or ids.shape[1] != wanted:
            shape = "(num_units,)" if wanted == 1 else f"(num_units, {wanted})"
            raise OralityError(f"item {number}: got ids of shape {ids.shape}, wanted {shape}")
        size = len(self._codes)
        if ids[:, 0].max(initial=-1) >= size:
            raise OralityError(
                f"item {number}: got unit {ids[:, 0].max()}, this vocoder knows 0 to {size - 1}; "
                "do tokenizer, slm and vocoder share a codebook?"
            )
        pitch, bins = ids[ids[:, 0] >= 0, 1:], self._folder.f0_bins
        if pitch.size and not (pitch.min() >= 0 and pitch.max() < bins):
            raise OralityError(
                f"item {number}: got pitch class {pitch.max()}, this vocoder knows 0 to {bins - 1}"
            )
        return ids

    def _read(self, frames: NDArray[np.int64]) -> torch.Tensor:
        """What the generator reads: float32 (frames, width), units, pitch, speaker, style."""
        ids = torch.from_numpy(frames).to(self._device)
        parts = [self._codes[ids[:, 0]]]
        if self._folder.wants_f0:
            parts.append(self._pitch(ids))
        return torch.cat([*parts, self._constant.expand(len(ids), -1)], dim=1)

    def _pitch(self, ids: torch.Tensor) -> torch.Tensor:
        if self._folder.f0_bins:
            table = _table(self._modules["f0_quant_embed"])
            classes = ids[:, 1] if self._f0 is None else torch.full_like(ids[:, 0], int(self._f0))
            return table[classes]
        assert self._f0 is not None  # read_folder asks for it
        return torch.full((len(ids), 1), self._f0, device=self._device)


def _table(module: nn.Module) -> torch.Tensor:
    assert isinstance(module, nn.Embedding)
    return module.weight
