"""What the encoder learns to predict for each frame; three sources, one shape.

`alignment`: the phones a corpus carries (supervised: the shipped tiny stack is made so).
`mfcc`: k-means over MFCCs, HuBERT's first iteration, needs no text: the road for a language that
has no writing. `encoder`: k-means over a layer of an earlier encoder, HuBERT's later iterations.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from orality.errors import CorpusError
from orality.pretraining.data import Samples, Utterance
from orality.pretraining.loop import rng_of
from orality.pretraining.quantizer.encoder import Frames, frames_of, layer_features, load_hubert
from orality.pretraining.quantizer.kmeans import fit_kmeans, nearest
from orality.pretraining.quantizer.mfcc import mfcc
from orality.pretraining.quantizer.phones import phone_inventory, phones_at
from orality.progress import Progress, silent

MAX_FIT_ROWS = 200_000


@dataclass(frozen=True, slots=True)
class Targets:
    """Classes of frames. `at(utterance, positions)`: class ids, int64, at positions given in
    samples at 16 kHz from the utterance's start."""

    num_classes: int
    at: Callable[[Utterance, NDArray[np.float64]], NDArray[np.int64]]


def alignment_targets(speech: Sequence[Utterance]) -> Targets:
    """The phones that the corpus carries; CorpusError when one utterance has none."""
    inventory = phone_inventory(speech)
    return Targets(
        len(inventory), lambda utterance, positions: phones_at(utterance, positions, inventory)
    )


def mfcc_targets(
    speech: Sequence[Utterance],
    frames: Frames,
    *,
    num_clusters: int = 100,
    seed: int = 0,
    device: torch.device | None = None,
    progress: Progress = silent,
) -> Targets:
    """K-means over MFCCs (13 coefficients with first and second differences), per frame."""

    def features(samples: Samples) -> torch.Tensor:
        return mfcc(samples, frames, device=device)

    return _clustered(speech, features, frames, num_clusters, seed, progress)


def encoder_targets(
    speech: Sequence[Utterance],
    folder: Path,
    layer: int,
    *,
    num_clusters: int = 500,
    seed: int = 0,
    device: torch.device | None = None,
    progress: Progress = silent,
) -> Targets:
    """K-means over `hidden_states[layer]` of the HuBERT in `folder`."""
    model = load_hubert(folder).to(device or torch.device("cpu"))

    def features(samples: Samples) -> torch.Tensor:
        return layer_features(model, samples, [layer])[layer]

    return _clustered(speech, features, frames_of(model.config), num_clusters, seed, progress)


def _clustered(
    speech: Sequence[Utterance],
    features: Callable[[Samples], torch.Tensor],
    frames: Frames,
    num_clusters: int,
    seed: int,
    progress: Progress,
) -> Targets:
    """Fit on a random part of the speech, then label all of it (one small integer per frame)."""
    twice = [name for name, count in Counter(u.id for u in speech).items() if count > 1]
    if twice:
        raise CorpusError(f"{len(twice)} recordings share an id ({twice[0]}); give each its own")
    total = sum(frames.count(utterance.length) for utterance in speech)
    share = min(1.0, MAX_FIT_ROWS / max(1, total))
    chosen = rng_of(seed, 31).random(len(speech)) < max(share, 1 / max(1, len(speech)))
    picked = [u for u, take in zip(speech, chosen, strict=True) if take] or list(speech[:1])
    rows = []
    for index, utterance in enumerate(picked):
        rows.append(features(utterance.read()))
        progress("target features", index + 1, len(picked))
    matrix = torch.cat(rows)
    # every dimension counts the same: MFCC 0 would otherwise drown the rest
    mean, scale = matrix.mean(0), matrix.std(0).clamp_min(1e-5)
    centroids = fit_kmeans((matrix - mean) / scale, num_clusters, seed=seed, restarts=1)
    labels: dict[str, NDArray[np.int64]] = {}
    for index, utterance in enumerate(speech):
        ids, _ = nearest((features(utterance.read()) - mean) / scale, centroids)
        labels[utterance.id] = ids.cpu().numpy()
        progress("targets", index + 1, len(speech))

    def at(utterance: Utterance, positions: NDArray[np.float64]) -> NDArray[np.int64]:
        known = labels[utterance.id]
        nearest_frame = np.rint((positions - frames.field / 2) / frames.hop).astype(np.int64)
        return known[np.clip(nearest_frame, 0, len(known) - 1)]

    return Targets(num_clusters, at)
