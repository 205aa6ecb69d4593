"""Vectors in the plane: t-SNE where scikit-learn is installed, the first two components if not."""

from __future__ import annotations

import importlib.util
import logging
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

logger = logging.getLogger(__name__)

Vectors = NDArray[np.float64]
Method = Literal["auto", "t-sne", "pca"]
KEPT = 50  # principal components that t-SNE starts from
PERPLEXITY = 30.0


@dataclass(frozen=True, slots=True)
class Embedding:
    """Coordinates (n, 2) and, in words, how they were made."""

    method: str
    coordinates: Vectors
    settings: str


def embed_in_plane(vectors: Vectors, *, method: Method = "auto", seed: int = 0) -> Embedding:
    """Place the rows of `vectors` (n, d) in the plane.

    `auto` is t-SNE if scikit-learn (the extra `figures`) is there, and says so in the log when it
    is not. t-SNE needs at least five rows; with fewer it is PCA in any case.
    """
    if method == "auto" and importlib.util.find_spec("sklearn") is None:
        logger.info(
            "golden and synthetic speech are shown by principal components: t-SNE needs "
            "scikit-learn (pip install 'orality[figures]')"
        )
        method = "pca"
    if method == "pca" or len(vectors) < 5:
        kept, explained = principal_components(vectors, 2)
        shares = " and ".join(f"{share:.0%}" for share in explained)
        return Embedding("PCA", kept, f"PCA; {shares} of the variance")
    from sklearn.manifold import TSNE

    perplexity = min(PERPLEXITY, (len(vectors) - 1) / 4)
    start, _ = principal_components(vectors, min(KEPT, *vectors.shape))
    model = TSNE(2, perplexity=perplexity, init="pca", random_state=seed)
    return Embedding(
        "t-SNE",
        np.asarray(model.fit_transform(start), dtype=np.float64),
        f"t-SNE; perplexity {perplexity:g}, seed {seed}",
    )


def principal_components(vectors: Vectors, count: int) -> tuple[Vectors, list[float]]:
    """The first `count` components (n, count) and the share of variance of each."""
    centered = vectors - vectors.mean(axis=0)
    left, sizes, right = np.linalg.svd(centered, full_matrices=False)
    # A component's sign is arbitrary; its largest loading decides, so that figures do not flip.
    signs = np.sign(right[np.arange(len(right)), np.abs(right).argmax(axis=1)])
    found = np.zeros((len(vectors), count))
    kept = min(count, len(sizes))
    found[:, :kept] = (left * sizes * signs)[:, :kept]
    total = float(np.square(sizes).sum()) or 1.0
    return found, [float(size) ** 2 / total for size in sizes[:kept]]
