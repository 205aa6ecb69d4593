"""How far each system's speech is from recordings: a picture, and an AUC that can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orality.report.data.stored_units import GOLDEN
from orality.report.sections.listening import spread
from orality.report.speech_gap.embedding import embed_in_plane
from orality.report.speech_gap.representations import Representations
from orality.report.speech_gap.separation import Separation, separation

SHOWN = 3  # systems in the picture
MOST_POINTS = 240  # of each system in the picture


@dataclass(frozen=True, slots=True)
class Cloud:
    """Points (n, 2) of one system; `separation` is None where its prompts are too few."""

    system: str
    points: NDArray[np.float64]
    separation: Separation | None


@dataclass(frozen=True, slots=True)
class GoldenGap:
    """`golden` points (n, 2), the systems drawn beside them, and every system's separation."""

    kind: str
    settings: str
    golden: NDArray[np.float64]
    clouds: Sequence[Cloud]
    separations: Sequence[tuple[str, Separation]]


def golden_gap(
    found: Representations, *, order: Sequence[str] = (), seed: int = 0
) -> GoldenGap | None:
    """Compare every system with the golden vectors; None where prompts are too few for that.

    `order`: systems as they are to be listed. The first, the last and one between are drawn, all
    in one embedding, so that their panels share coordinates.
    """
    present = set(found.systems) - {GOLDEN}
    names = [name for name in order if name in present]
    names += sorted(present - set(names))
    if not names:
        return None
    golden, golden_prompts = found.of(GOLDEN)
    separations = {}
    for name in names:
        vectors, prompts = found.of(name)
        apart = separation(
            golden, vectors, golden_prompts=golden_prompts, synthetic_prompts=prompts, seed=seed
        )
        if apart is not None:
            separations[name] = apart
    if not separations:
        return None
    drawn = names if len(names) <= SHOWN else [names[0], names[-2], names[-1]]
    picked = [_thinned(found.of(name)[0]) for name in [GOLDEN, *drawn]]
    placed = embed_in_plane(np.concatenate(picked), seed=seed)
    points = np.split(placed.coordinates, np.cumsum([len(part) for part in picked])[:-1])
    return GoldenGap(
        kind=found.kind,
        settings=placed.settings,
        golden=points[0],
        clouds=[
            Cloud(name, cloud, separations.get(name))
            for name, cloud in zip(drawn, points[1:], strict=True)
        ],
        separations=list(separations.items()),
    )


def auc_text(found: Separation) -> str:
    """The AUC with its interval, as a panel's title says it."""
    return f"AUC {found.auc:.2f} [{found.low:.2f}, {found.high:.2f}]"


def _thinned(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    rows = spread([str(number) for number in range(len(vectors))], MOST_POINTS)
    return vectors[[int(row) for row in rows]]
