"""Speech to units: features of one layer, then the nearest centroid of each frame."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from orality import AudioError, Units, UnitSpec, Waveform, resample
from orality_tokenizer_hubert.folder import SAMPLE_RATE

logger = logging.getLogger(__name__)


class HubertTokenizer:
    """HuBERT features of one layer, quantized by k-means.

    Recordings go through the encoder one by one: nothing is padded, no neighbor is normalized with,
    so an item's units do not depend on its batch.
    """

    def __init__(
        self,
        model: Any,
        centroids: torch.Tensor,
        *,
        unit_spec: UnitSpec,
        normalize: bool = False,
        max_chunk_seconds: float = 100.0,
    ) -> None:
        self._model = model
        self._centroids = centroids
        self._norms = centroids.square().sum(1)
        self._unit_spec = unit_spec
        self._normalize = normalize
        self._chunk = int(max_chunk_seconds * SAMPLE_RATE)
        self._field = receptive_field(model.config.conv_kernel, model.config.conv_stride)

    @property
    def sample_rate(self) -> int:
        """16 kHz; other rates are resampled."""
        return SAMPLE_RATE

    @property
    def unit_spec(self) -> UnitSpec:
        """What the units mean."""
        return self._unit_spec

    def encode(self, batch: Sequence[Waveform]) -> list[Units]:
        """Units and their lengths in frames; a recording shorter than a frame has none.

        Raises AudioError for samples that are not finite numbers.
        """
        return [self._units(self.frame_units(waveform)) for waveform in batch]

    def frame_units(self, waveform: Waveform) -> NDArray[np.int64]:
        """The unit of every frame, shape (frames,), before de-duplication."""
        features = self.features(waveform)
        scores = torch.addmm(self._norms, features, self._centroids.T, alpha=-2.0)
        ids: NDArray[np.int64] = scores.argmin(1).cpu().numpy()
        return ids

    @torch.inference_mode()
    def features(self, waveform: Waveform) -> torch.Tensor:
        """`hidden_states[layer]`, float32 (frames, width).

        Beyond `max_chunk_seconds` the recording is cut without overlap; of the last piece, what is
        shorter than a frame is left out.
        """
        samples = self._samples(waveform)
        pieces = [
            self._model(piece[None]).last_hidden_state[0]
            for piece in torch.split(samples, self._chunk)
            if len(piece) >= self._field
        ]
        if not pieces:
            logger.debug("%d samples are less than one frame: no units", len(samples))
            return self._centroids.new_zeros((0, self._centroids.shape[1]))
        return torch.cat(pieces)

    def _samples(self, waveform: Waveform) -> torch.Tensor:
        samples = np.asarray(waveform.samples, np.float32)
        if samples.ndim != 1:
            raise AudioError(f"got samples of shape {samples.shape}; wanted mono, (num_samples,)")
        if not np.isfinite(samples).all():
            raise AudioError(
                "got samples that are not finite numbers; drop or repair the recording"
            )
        if len(samples) and waveform.sample_rate != SAMPLE_RATE:
            samples = resample(Waveform(samples, waveform.sample_rate), SAMPLE_RATE).samples
        # a copy where numpy forbids writing: torch shares memory and wants it writable
        wave = torch.from_numpy(np.require(samples, requirements=["C", "W"]))
        wave = wave.to(self._centroids.device)
        if self._normalize and len(wave):
            wave = torch.nn.functional.layer_norm(wave, wave.shape)
        return wave

    def _units(self, ids: NDArray[np.int64]) -> Units:
        if not self._unit_spec.deduplicated:
            return Units(ids, np.ones(len(ids), np.int64))
        if not len(ids):
            return Units(ids, np.zeros(0, np.int64))
        starts = np.flatnonzero(np.concatenate([[True], ids[1:] != ids[:-1]]))
        return Units(ids[starts], np.diff(starts, append=len(ids)).astype(np.int64))


def receptive_field(kernels: Sequence[int], strides: Sequence[int]) -> int:
    """Samples that one frame sees: the shortest recording that has a unit (720 at 25 Hz)."""
    field = hop = 1
    for kernel, stride in zip(kernels, strides, strict=True):
        field += (kernel - 1) * hop
        hop *= stride
    return field
