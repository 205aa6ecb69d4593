"""Codec units to speech, items of equal length together: padding would reach an item's end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from orality import OralityError, Units, UnitSpec, Waveform
from orality_tokenizer_codec.loading import Codec

SECONDS_AT_ONCE = 60.0  # of speech in one pass, so that memory stays bounded


class CodecVocoder:
    """The decoder of a codec."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec

    @property
    def sample_rate(self) -> int:
        """The rate, in Hz, of what it speaks."""
        return self._codec.folder.sample_rate

    @property
    def unit_spec(self) -> UnitSpec:
        """What units it understands."""
        return self._codec.folder.unit_spec

    def synthesize(self, batch: Sequence[Units]) -> list[Waveform]:
        """Speak each item: float32, clipped to [-1, 1], as many samples as its frames last.

        Units carry no count of samples, so that the last frame is spoken whole: cut the waveform
        where the length of the recording is known. Raises OralityError for ids outside the
        codebook, or of another number of codebooks.
        """
        frames = [self._frames(units, number) for number, units in enumerate(batch)]
        groups: defaultdict[int, list[int]] = defaultdict(list)
        for number, ids in enumerate(frames):
            groups[len(ids)].append(number)
        spoken: list[NDArray[np.float32]] = [np.zeros(0, np.float32)] * len(batch)
        most = SECONDS_AT_ONCE * self.unit_spec.frame_rate
        for length, numbers in groups.items():
            size = max(1, int(most // max(length, 1)))
            for start in range(0, len(numbers) if length else 0, size):
                part = numbers[start : start + size]
                samples = self._speak(np.stack([frames[number] for number in part]))
                for number, wave in zip(part, samples, strict=True):
                    spoken[number] = wave
        return [Waveform(samples, self.sample_rate) for samples in spoken]

    def _speak(self, frames: NDArray[np.int64]) -> NDArray[np.float32]:
        """(batch, frames, codebooks) to (batch, samples)."""
        codes = torch.from_numpy(np.ascontiguousarray(frames.transpose(0, 2, 1)))
        samples = self._codec.decode(codes.to(self._codec.device))
        found: NDArray[np.float32] = samples.float().clamp(-1.0, 1.0).cpu().numpy()
        return found

    def _frames(self, units: Units, item: int) -> NDArray[np.int64]:
        """The codes of every frame of one item, (frames, codebooks)."""
        spec = self.unit_spec
        ids = np.asarray(units.ids, np.int64)
        if ids.ndim == 1 and (spec.num_codebooks == 1 or not len(ids)):
            ids = ids.reshape(len(ids), spec.num_codebooks if len(ids) == 0 else 1)
        if ids.ndim != 2 or ids.shape[1] != spec.num_codebooks:
            raise OralityError(
                f"item {item}: got ids of shape {ids.shape}, wanted (num_units, "
                f"{spec.num_codebooks}); do tokenizer, slm and vocoder share a codec?"
            )
        if len(ids) and not (ids.min() >= 0 and ids.max() < spec.vocab_size):
            raise OralityError(
                f"item {item}: got ids from {ids.min()} to {ids.max()}, this codec knows 0 to "
                f"{spec.vocab_size - 1}; do tokenizer, slm and vocoder share a codebook?"
            )
        if units.durations is None:
            return ids
        lengths = np.asarray(units.durations, np.int64)
        if lengths.shape != (len(ids),) or lengths.min(initial=0) < 0:
            raise OralityError(
                f"item {item}: got durations of shape {lengths.shape} for {len(ids)} units, wanted "
                "as many, none of them negative"
            )
        return np.repeat(ids, lengths, axis=0)
