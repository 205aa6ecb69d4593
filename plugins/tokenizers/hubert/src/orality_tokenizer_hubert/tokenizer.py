"""Speech to units: features of one layer, then the nearest centroid of each frame."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from orality import AudioError, Units, UnitSpec, Waveform, resample
from orality_tokenizer_hubert.encoders import Encoder
from orality_tokenizer_hubert.folder import SAMPLE_RATE
from orality_tokenizer_hubert.parallel import in_parallel

logger = logging.getLogger(__name__)

# Two centroids this close to a frame, in parts of what rounding could move if every product of the
# encoder erred the same way, are told apart by a pass of the recording alone.
TIE = 1e-5
SAMPLES_AT_ONCE = 120 * SAMPLE_RATE


class HubertTokenizer:
    """Encoder features of one layer, quantized by k-means.

    Nothing is padded and no neighbor is normalized with: recordings go through the encoder one by
    one, on a processor each in a thread of its own; on a GPU those of equal length together, and
    once more alone where a frame is nearly as close to a second centroid. So an item's units do not
    depend on its batch.
    """

    def __init__(
        self,
        encoder: Encoder,
        centroids: torch.Tensor,
        *,
        unit_spec: UnitSpec,
        normalize: bool = False,
        max_chunk_seconds: float = 100.0,
        together: bool | None = None,
    ) -> None:
        self._encoder = encoder
        self._centroids = centroids
        self._norms = centroids.square().sum(1)
        self._spread = 2.0 * float(self._norms.max().sqrt())
        self._unit_spec = unit_spec
        self._normalize = normalize
        self._chunk = int(max_chunk_seconds * SAMPLE_RATE)
        self._together = centroids.device.type != "cpu" if together is None else together

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
        pieces, owners = [], []
        for item, waveform in enumerate(batch):
            for piece in self._pieces(waveform):
                pieces.append(piece)
                owners.append(item)
        found: list[list[NDArray[np.int64]]] = [[] for _ in batch]
        for item, ids in zip(owners, self._assign_all(pieces), strict=True):
            found[item].append(ids.cpu().numpy())
        return [self._units(np.concatenate([np.zeros(0, np.int64), *ids])) for ids in found]

    def frame_units(self, waveform: Waveform) -> NDArray[np.int64]:
        """The unit of every frame, shape (frames,), before de-duplication."""
        ids = [self._assign(piece).cpu().numpy() for piece in self._pieces(waveform)]
        return np.concatenate([np.zeros(0, np.int64), *ids])

    @torch.inference_mode()
    def features(self, waveform: Waveform) -> torch.Tensor:
        """`hidden_states[layer]`, float32 (frames, width).

        Beyond `max_chunk_seconds` the recording is cut without overlap; of the last piece, what is
        shorter than a frame is left out.
        """
        found = [self._encoder.forward(piece[None])[0] for piece in self._pieces(waveform)]
        return torch.cat([self._centroids.new_zeros((0, self._centroids.shape[1])), *found])

    def _pieces(self, waveform: Waveform) -> list[torch.Tensor]:
        samples = self._samples(waveform)
        pieces = [
            piece
            for piece in torch.split(samples, self._chunk)
            if len(piece) >= self._encoder.field
        ]
        if not pieces:
            logger.debug("%d samples are less than one frame: no units", len(samples))
        return pieces

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

    def _assign_all(self, pieces: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Each piece's units, int64 (frames,)."""
        if not self._together:
            return in_parallel(self._assign, pieces, costs=[len(piece) for piece in pieces])
        groups: defaultdict[int, list[int]] = defaultdict(list)
        for number, piece in enumerate(pieces):
            groups[len(piece)].append(number)
        found: dict[int, torch.Tensor] = {}
        for length, numbers in groups.items():
            size = max(1, SAMPLES_AT_ONCE // length)
            for start in range(0, len(numbers), size):
                part = numbers[start : start + size]
                for number, ids in zip(
                    part, self._assign_equal([pieces[n] for n in part]), strict=True
                ):
                    found[number] = ids
        return [found[number] for number in range(len(pieces))]

    @torch.inference_mode()
    def _assign(self, piece: torch.Tensor) -> torch.Tensor:
        return self._scores(self._encoder.forward(piece[None])[0]).argmin(1)

    @torch.inference_mode()
    def _assign_equal(self, pieces: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Pieces of one length in one pass; those with a near tie again, alone."""
        if len(pieces) == 1:
            return [self._assign(pieces[0])]
        features = self._encoder.forward(torch.stack(list(pieces)))
        best, ids = self._scores(features.flatten(0, 1)).topk(min(2, len(self._norms)), 1, False)
        reach = TIE * self._spread * features.flatten(0, 1).norm(dim=1)
        near = ((best[:, -1] - best[:, 0]) < reach).view(len(pieces), -1).any(1).tolist()
        units = ids[:, 0].view(len(pieces), -1)
        return [
            self._assign(piece) if tie else units[number]
            for number, (piece, tie) in enumerate(zip(pieces, near, strict=True))
        ]

    def _scores(self, features: torch.Tensor) -> torch.Tensor:
        """Squared distances but for the frame's own square, (frames, clusters)."""
        return torch.addmm(self._norms, features, self._centroids.T, alpha=-2.0)

    def _units(self, ids: NDArray[np.int64]) -> Units:
        if not self._unit_spec.deduplicated:
            return Units(ids, np.ones(len(ids), np.int64))
        if not len(ids):
            return Units(ids, np.zeros(0, np.int64))
        starts = np.flatnonzero(np.concatenate([[True], ids[1:] != ids[:-1]]))
        return Units(ids[starts], np.diff(starts, append=len(ids)).astype(np.int64))
