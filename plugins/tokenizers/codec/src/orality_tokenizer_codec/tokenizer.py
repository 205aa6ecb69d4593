"""Speech to codec units, one recording after the other: nothing is padded by a neighbor."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from orality import AudioError, Units, UnitSpec, Waveform, resample
from orality_tokenizer_codec.loading import Codec


class CodecTokenizer:
    """Frames of residual codes.

    A residual code hangs on the last bit of its frame's rounding, and the next codebook on it: so
    recordings do not share a pass, and an item's units cannot depend on its batch.
    """

    def __init__(self, codec: Codec) -> None:
        self._codec = codec

    @property
    def sample_rate(self) -> int:
        """The codec's rate in Hz; other rates are resampled."""
        return self._codec.folder.sample_rate

    @property
    def unit_spec(self) -> UnitSpec:
        """What the units mean."""
        return self._codec.folder.unit_spec

    def encode(self, batch: Sequence[Waveform]) -> list[Units]:
        """One unit per started frame: ids (frames, codebooks), or (frames,) with one codebook.

        A recording without samples has no units. Raises AudioError for samples that are not mono
        or not finite.
        """
        return [self._units(waveform) for waveform in batch]

    def _units(self, waveform: Waveform) -> Units:
        samples = np.asarray(waveform.samples, np.float32)
        if samples.ndim != 1:
            raise AudioError(f"got samples of shape {samples.shape}; wanted mono, (num_samples,)")
        if not np.isfinite(samples).all():
            raise AudioError(
                "got samples that are not finite numbers; drop or repair the recording"
            )
        if len(samples) and waveform.sample_rate != self.sample_rate:
            samples = resample(Waveform(samples, waveform.sample_rate), self.sample_rate).samples
        number = self.unit_spec.num_codebooks
        if len(samples):
            # a copy where numpy forbids writing: torch shares memory and wants it writable
            wave = torch.from_numpy(np.require(samples, requirements=["C", "W"]))
            codes = self._codec.encode(wave[None, None].to(self._codec.device))
            ids = np.ascontiguousarray(codes[0].T.cpu().numpy().astype(np.int64))
        else:
            ids = np.zeros((0, number), np.int64)
        return Units(ids[:, 0] if number == 1 else ids, np.ones(len(ids), np.int64))
