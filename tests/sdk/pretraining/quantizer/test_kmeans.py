"""K-means by hand and on clouds whose centers are known."""

from __future__ import annotations

import pytest
import torch

from orality import TrainingError
from orality.pretraining.quantizer.kmeans import fit_kmeans, nearest


def clouds() -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    centers = torch.tensor([[0.0, 0.0], [50.0, 0.0], [0.0, 50.0], [1000.0, 1000.0]])
    return (centers[:, None] + torch.randn(4, 100, 2, generator=generator)).reshape(-1, 2)


def test_nearest_by_hand() -> None:
    ids, distances = nearest(
        torch.tensor([[0.0, 1.0], [3.0, 4.0]]), torch.tensor([[0.0, 0.0], [3.0, 3.0]])
    )
    assert ids.tolist() == [0, 1]
    assert distances.tolist() == pytest.approx([1.0, 1.0])


def test_nothing_has_no_nearest() -> None:
    ids, distances = nearest(torch.zeros(0, 2), torch.zeros(3, 2))
    assert ids.shape == distances.shape == (0,)


def test_clouds_are_found() -> None:
    rows = clouds()
    found = fit_kmeans(rows, 4)
    ids, distances = nearest(rows, found)
    assert all(len(set(part.tolist())) == 1 for part in ids.split(100))
    assert len(set(ids.tolist())) == 4
    assert float(distances.mean()) < 3.0  # two dimensions of unit variance


def test_a_seed_decides_everything() -> None:
    rows = torch.randn(500, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(fit_kmeans(rows, 10, seed=3), fit_kmeans(rows, 10, seed=3))
    assert not torch.equal(fit_kmeans(rows, 10, seed=3), fit_kmeans(rows, 10, seed=4))


def test_no_cluster_stays_empty_where_rows_repeat() -> None:
    rows = torch.cat([torch.zeros(50, 2), torch.arange(8.0).repeat(2, 1).T])
    found = fit_kmeans(rows, 8, restarts=1)
    assert torch.isfinite(found).all()
    assert len(set(nearest(rows, found)[0].tolist())) == 8


def test_a_far_offset_costs_no_accuracy() -> None:
    rows = clouds()
    near = nearest(rows, fit_kmeans(rows, 4))[1].mean()
    far = fit_kmeans(rows + 3000.0, 4) - 3000.0
    assert float(nearest(rows, far)[1].mean()) == pytest.approx(float(near), rel=1e-2)


def test_fewer_rows_than_clusters_is_an_error() -> None:
    with pytest.raises(TrainingError, match="give more speech"):
        fit_kmeans(torch.zeros(3, 2), 4)


def test_values_that_are_not_finite_are_an_error() -> None:
    with pytest.raises(TrainingError, match="not finite"):
        fit_kmeans(torch.full((5, 2), float("nan")), 2)
