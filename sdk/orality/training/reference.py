"""Log-probabilities under a frozen policy: taken from the pairs, or computed once and kept."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from orality.errors import TrainingError
from orality.progress import Progress, silent
from orality.protocols import SpeechLM
from orality.store.files import read_json, write_json
from orality.training.attention import packed_attention
from orality.training.devices.sharding import sharded
from orality.training.log_probs import Score, sum_log_probs
from orality.training.rows.columns import compute_columns
from orality.training.rows.preferences import PreferenceItem
from orality.types import PreferencePair

logger = logging.getLogger(__name__)

TOLERANCE = 0.01
"""Nats per unit by which a recorded log-probability may differ from today's: bfloat16 and key-value
caches stay far below it, another policy does not."""

SAMPLE = 8
"""Prompts whose carried sums are computed again before they are believed."""

Sums = Mapping[str, tuple[float, float]]
Opened = Callable[[], AbstractContextManager[Score]]
"""How to score under the frozen policy, for as long as it is needed."""


def frozen_sums(
    items: Sequence[PreferenceItem],
    pairs: Sequence[PreferencePair],
    *,
    policy: Opened,
    fingerprint: str,
    store: Path,
    accelerator: Any,
    max_tokens: int,
    precision: str,
    progress: Progress = silent,
) -> list[Tensor]:
    """Sums in nats of chosen and rejected under the frozen `policy`: float64 (pairs, 2), an item.

    Sums that a pair carries are used; they must be recorded under `fingerprint`. The others are
    computed and kept in `store`, under that fingerprint. Raises TrainingError when a pair or the
    store names another policy, or when a sample of the carried sums, computed again, comes out
    different.
    """
    carried = _carried(pairs, fingerprint)

    def compute(some: Sequence[PreferenceItem]) -> Sums:
        with policy() as score:
            columns = compute_columns(
                accelerator, score, some, _sides,
                columns=("chosen", "rejected"), max_tokens=max_tokens, precision=precision,
                stage="reference", progress=progress,
            )  # fmt: skip
        names = [name for item in some for name in item.ids]
        both = zip(columns["chosen"].tolist(), columns["rejected"].tolist(), strict=True)
        return dict(zip(names, both, strict=True))

    known: dict[str, tuple[float, float]] = {**carried, **_read(store, fingerprint)}
    missing = [item for item in items if any(name not in known for name in item.ids)]
    if missing:
        logger.info("computing the reference of %d prompts' pairs", len(missing))
        known = {**compute(missing), **known}
        kept = {name: both for name, both in known.items() if name not in carried}
        if accelerator.is_main_process:
            write_json(store, {"reference": fingerprint, "sums": kept})
    sample = [item for item in items if all(name in carried for name in item.ids)][:SAMPLE]
    if sample:
        _compare(carried, compute(sample), sample)
    return [torch.tensor([known[name] for name in item.ids], dtype=torch.float64) for item in items]


@contextmanager
def without_adapter(module: Any, score: Score) -> Iterator[Score]:
    """The policy that training starts from: `module` (a PeftModel) with its adapter off."""
    module.eval()
    with module.disable_adapter():
        yield score


@contextmanager
def another_policy(
    slm: SpeechLM, accelerator: Any, *, attention: str, shard: bool
) -> Iterator[Score]:
    """`slm` on the accelerator's device, frozen; it is as it was afterwards."""
    before = {name: weight.requires_grad for name, weight in slm.module.named_parameters()}
    device, training = next(slm.module.parameters()).device, slm.module.training
    slm.module.requires_grad_(False)
    slm.module.eval()
    try:
        with (
            sharded(slm.module, accelerator, on=shard) as module,
            packed_attention(module, attention) as backend,
        ):
            yield partial(sum_log_probs, module, backend=backend)
    finally:
        slm.module.to(device)
        slm.module.train(training)
        for name, weight in slm.module.named_parameters():
            weight.requires_grad_(before[name])


def _sides(items: Sequence[PreferenceItem], sums: Tensor) -> Mapping[str, Tensor]:
    parts = torch.split(sums, [len(item.group.continuations) for item in items])
    both = torch.cat([part[item.sides] for item, part in zip(items, parts, strict=True)])
    return {"chosen": both[:, 0], "rejected": both[:, 1]}


def _carried(pairs: Sequence[PreferencePair], fingerprint: str) -> Sums:
    found = {
        pair.id: (pair.reference_chosen, pair.reference_rejected)
        for pair in pairs
        if pair.reference_chosen is not None and pair.reference_rejected is not None
    }
    stale = [pair.id for pair in pairs if pair.id in found and pair.reference != fingerprint]
    if stale:
        raise TrainingError(
            f"{len(stale)} of {len(pairs)} pairs ({stale[0]}, ...) carry log-probabilities of "
            f"another reference than {fingerprint[:12]}; sample them again from this model, or "
            "leave reference_chosen and reference_rejected out to have them computed"
        )
    return found


def _compare(carried: Sums, now: Sums, items: Sequence[PreferenceItem]) -> None:
    for item in items:
        for name, sides in zip(item.ids, item.sides.tolist(), strict=True):
            for side, recorded, computed in zip(sides, carried[name], now[name], strict=True):
                units = len(item.group.continuations[side])
                if not abs(recorded - computed) <= TOLERANCE * units:
                    raise TrainingError(
                        f"pair {name} carries a reference log-probability of {recorded:.3f}, this "
                        f"model gives {computed:.3f}; its samples came from another policy"
                    )


def _read(store: Path, fingerprint: str) -> Sums:
    if not store.is_file():
        return {}
    found = read_json(store)
    if found["reference"] != fingerprint:
        raise TrainingError(
            f"{store} holds log-probabilities of another reference than {fingerprint[:12]}; delete "
            "it to have them computed again"
        )
    return {
        name: (float(chosen), float(rejected)) for name, (chosen, rejected) in found["sums"].items()
    }
