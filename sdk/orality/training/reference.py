"""Log-probabilities under the reference: taken from the pairs, or computed once and kept."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from orality.errors import TrainingError
from orality.progress import Progress, silent
from orality.store.files import read_json, write_json
from orality.training.columns import compute_columns
from orality.training.devices import accelerator_for
from orality.training.log_probs import Row, sum_log_probs
from orality.types import PreferencePair

logger = logging.getLogger(__name__)

TOLERANCE = 0.01
"""Nats per unit by which a recorded log-probability may differ from today's: bfloat16 and key-value
caches stay far below it, another policy does not."""

Sums = tuple[float, float]


def reference_sums(
    module: Any,
    rows: Sequence[Row],
    *,
    micro_batch: int,
    precision: str,
    progress: Progress = silent,
) -> list[float]:
    """Sums in nats, one per row, with the adapter on `module` (a PeftModel) switched off."""
    accelerator = accelerator_for(module)
    module.to(accelerator.device).eval()
    with module.disable_adapter():
        columns = compute_columns(
            accelerator, module, rows, lambda *args: {"sum": _sum(*args)},
            columns=("sum",), length=lambda row: len(row.ids), micro_batch=micro_batch,
            precision=precision, stage="reference", progress=progress,
        )  # fmt: skip
    return [float(value) for value in columns["sum"]]


def pair_references(
    module: Any,
    pairs: Sequence[PreferencePair],
    rows: Sequence[tuple[Row, Row]],
    *,
    reference: str,
    store: Path,
    micro_batch: int,
    precision: str,
    progress: Progress = silent,
) -> list[Sums]:
    """Reference sums of chosen and rejected, one per pair.

    Sums that a pair carries are used; `reference` is the fingerprint they must be recorded under.
    The others are computed and kept in `store`. Raises TrainingError when a pair names another
    reference, or when a sample of the carried sums, computed again, comes out different.
    """
    carried = {
        pair.id: (pair.reference_chosen, pair.reference_rejected)
        for pair in pairs
        if pair.reference_chosen is not None and pair.reference_rejected is not None
    }
    stale = [pair.id for pair in pairs if pair.id in carried and pair.reference != reference]
    if stale:
        raise TrainingError(
            f"{len(stale)} of {len(pairs)} pairs ({stale[0]}, ...) carry log-probabilities of "
            f"another reference than {reference[:12]}; sample them again from this model, or leave "
            "reference_chosen and reference_rejected out to have them computed"
        )
    row_of = {pair.id: both for pair, both in zip(pairs, rows, strict=True)}
    known: Mapping[str, Sums] = {**carried, **_read(store)}

    def compute(ids: Sequence[str]) -> list[Sums]:
        flat = [row for name in ids for row in row_of[name]]
        sums = reference_sums(
            module, flat, micro_batch=2 * micro_batch, precision=precision, progress=progress
        )
        return list(zip(sums[::2], sums[1::2], strict=True))

    missing = [pair.id for pair in pairs if pair.id not in known]
    if missing:
        logger.info("computing the reference of %d pairs", len(missing))
        known = {**known, **dict(zip(missing, compute(missing), strict=True))}
        write_json(store, {name: known[name] for name in row_of if name not in carried})
    sample = list(carried)[:8]
    for name, now in zip(sample, compute(sample) if sample else [], strict=True):
        for row, recorded, computed in zip(row_of[name], carried[name], now, strict=True):
            if not abs(recorded - computed) <= TOLERANCE * row.scored:
                raise TrainingError(
                    f"pair {name} carries a reference log-probability of {recorded:.3f}, this "
                    f"model gives {computed:.3f}; its samples came from another policy"
                )
    return [known[pair.id] for pair in pairs]


def _sum(module: Any, rows: Sequence[Row], device: Any) -> Any:
    return sum_log_probs(module, rows, device=device)


def _read(store: Path) -> dict[str, Sums]:
    found = read_json(store) if store.is_file() else {}
    return {name: (float(chosen), float(rejected)) for name, (chosen, rejected) in found.items()}
