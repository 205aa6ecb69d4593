"""K-means in torch: the same code on CPU and GPU, deterministic for a seed and device."""

from __future__ import annotations

import torch

from orality.errors import TrainingError

CHUNK = 16_384  # rows per distance block: bounds memory at CHUNK * clusters floats


def nearest(features: torch.Tensor, centroids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Nearest centroid of each row and its squared distance.

    `features`: (n, d) float32; `centroids`: (k, d). Returns int64 (n,) and float32 (n,).
    """
    norms = centroids.square().sum(1)
    ids, distances = [], []
    for block in torch.split(features, CHUNK):
        # |x|^2 is the same for every centroid: left out of the comparison, added to the distance
        best = torch.addmm(norms, block, centroids.T, alpha=-2.0).min(1)
        ids.append(best.indices)
        distances.append((best.values + block.square().sum(1)).clamp_min(0.0))
    if not ids:
        empty = features.new_zeros(0)
        return empty.long(), empty
    return torch.cat(ids), torch.cat(distances)


def fit_kmeans(
    features: torch.Tensor,
    num_clusters: int,
    *,
    seed: int = 0,
    restarts: int = 3,
    max_iterations: int = 100,
    tolerance: float = 1e-4,
) -> torch.Tensor:
    """Centroids, float32 (num_clusters, d), of rows (n, d) by k-means++ and Lloyd's iterations.

    Of `restarts` runs the one with the smallest inertia wins. A run stops when the inertia falls by
    less than `tolerance` of itself. A cluster that loses all its rows takes over the row that lies
    farthest from its own centroid. Raises TrainingError for fewer rows than clusters, or for
    values that are not finite. Arthur and Vassilvitskii, 2007; Lloyd, 1982.
    """
    rows = features.float()
    if rows.ndim != 2 or len(rows) < num_clusters:
        raise TrainingError(
            f"k-means got features of shape {tuple(features.shape)} for {num_clusters} clusters; "
            "wanted at least as many rows as clusters: give more speech"
        )
    if not torch.isfinite(rows).all():
        raise TrainingError("k-means got features that are not finite")
    # centering changes no distance but keeps float32 differences of squares accurate
    mean = rows.mean(0)
    rows = rows - mean
    best: tuple[float, torch.Tensor] | None = None
    for restart in range(restarts):
        generator = torch.Generator().manual_seed(seed * 1_000 + restart)
        inertia, centroids = _lloyd(
            rows, _plus_plus(rows, num_clusters, generator), max_iterations, tolerance
        )
        if best is None or inertia < best[0]:
            best = (inertia, centroids)
    assert best is not None
    return best[1] + mean


def _plus_plus(rows: torch.Tensor, count: int, generator: torch.Generator) -> torch.Tensor:
    first = int(torch.randint(len(rows), (1,), generator=generator))
    chosen = [rows[first]]
    distances = (rows - chosen[0]).square().sum(1)
    for _ in range(1, count):
        total = distances.double().cumsum(0)
        draw = torch.rand((), generator=generator, dtype=torch.float64).to(rows.device) * total[-1]
        pick = int(torch.searchsorted(total, draw, right=True).clamp_max(len(rows) - 1))
        chosen.append(rows[pick])
        distances = torch.minimum(distances, (rows - chosen[-1]).square().sum(1))
    return torch.stack(chosen)


def _lloyd(
    rows: torch.Tensor, centroids: torch.Tensor, max_iterations: int, tolerance: float
) -> tuple[float, torch.Tensor]:
    previous = float("inf")
    for _ in range(max_iterations):
        ids, distances = nearest(rows, centroids)
        inertia = float(distances.double().sum())
        if previous - inertia <= tolerance * inertia:
            return inertia, centroids
        previous = inertia
        counts = torch.bincount(ids, minlength=len(centroids))
        sums = torch.zeros_like(centroids).index_add_(0, ids, rows)
        centroids = sums / counts.clamp_min(1).unsqueeze(1)
        empty = (counts == 0).nonzero().flatten()
        if len(empty):
            far = distances.topk(len(empty)).indices
            centroids[empty] = rows[far]
    return float(nearest(rows, centroids)[1].double().sum()), centroids
