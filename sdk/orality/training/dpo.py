"""Direct preference optimization: from preference pairs to an adapter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from orality.errors import TrainingError
from orality.preferences.shortcuts import shortcut_accuracies
from orality.preferences.ties import draw_of
from orality.progress import Progress, silent
from orality.protocols import SpeechLM
from orality.tracking import Tracked
from orality.training.attention import AUTO
from orality.training.diagnosis import diagnose
from orality.training.fingerprint import data_fingerprint, policy_fingerprint
from orality.training.fit import Lora, Prepared, TrainResult, fit, unique_ids
from orality.training.log_probs import Score
from orality.training.loop import Settings
from orality.training.losses import (
    PreferenceLoss,
    Sides,
    next_unit_loss,
    preference_loss,
    reward_figures,
    rewards,
    weighted_mean,
)
from orality.training.method import Method
from orality.training.reference import Opened, another_policy, frozen_sums, without_adapter
from orality.training.rows.gaps import check_gaps, mean_gap
from orality.training.rows.preferences import PreferenceItem, draw_pairs, preference_items
from orality.types import PreferencePair

BestBy = Literal["reward_accuracy", "loss"]
_MEANS = (
    "loss", "reward_chosen", "reward_rejected", "chosen_nats", "chosen_gain", "kl", "longer",
)  # fmt: skip
_COLUMNS = (*_MEANS, "repeats", "share")


def train_dpo(
    slm: SpeechLM,
    pairs: Sequence[PreferencePair],
    dev_pairs: Sequence[PreferencePair] = (),
    *,
    out: Path,
    adapter: Path | None = None,
    reference: str | None = None,
    reference_policy: SpeechLM | None = None,
    loss: PreferenceLoss | None = None,
    settings: Settings | None = None,
    lora: Lora | None = None,
    attention: str = AUTO,
    best_by: BestBy = "reward_accuracy",
    max_kl: float | None = None,
    tracked: Tracked | None = None,
    progress: Progress = silent,
) -> TrainResult:
    """Train a LoRA adapter to prefer chosen over rejected, starting from `slm`.

    `out` gets metrics and checkpoints, and the adapter (PEFT) unless `adapter` names another
    folder; it holds the best step by `best_by`: the dev pairs' reward accuracy (margin among
    equals), or their loss, which few dev pairs leave less to chance. Called again with the same
    arguments, it continues; `slm` is unchanged afterwards. `reference`: the fingerprint under
    which pairs carry log-probabilities of `slm` (default: `policy_fingerprint(slm)`).
    `reference_policy`: what the policy is held to, `slm` itself if None; log-probabilities under
    another one are computed once and kept. Pairs of one prompt share it in every row, and a
    continuation that is in several pairs is read once; of alternatives (`preferences.ties`), every
    epoch draws one. `max_kl`: nats per continuation above which the result warns. `tracked`: who
    follows step by step. Raises TrainingError when there are no pairs, when they do not fit the
    model, when the loss needs scores that they lack, or when a loss is not finite. Defaults:
    Align-SLM, section 4.
    """
    if not pairs:
        raise TrainingError(
            "there are no preference pairs to train on; lower the thresholds, raise the allowed "
            "auto-BLEU, or sample more prompts"
        )
    loss, settings = loss or PreferenceLoss(), settings or Settings()
    both = (*pairs, *dev_pairs)
    unique_ids([pair.id for pair in both])
    if loss.gap != "none":
        check_gaps(both)
    items, dev_items = preference_items(slm, pairs), preference_items(slm, dev_pairs)
    base = policy_fingerprint(slm)
    anchor = base if reference_policy is None else policy_fingerprint(reference_policy)

    def prepare(module: nn.Module, score: Score, accelerator: Any) -> Prepared[PreferenceItem]:
        def sums(some: Sequence[PreferencePair], policy: Opened, name: str, store: str) -> Any:
            return frozen_sums(
                (*items, *dev_items), some, policy=policy, fingerprint=name, store=out / store,
                accelerator=accelerator, max_tokens=settings.max_tokens,
                precision=settings.precision, progress=progress,
            )  # fmt: skip

        start = partial(without_adapter, module, score)
        if reference_policy is None or anchor == base:
            starts = references = sums(both, start, reference or base, "reference.json")
        else:
            starts = sums(both, start, reference or base, "start.json")
            first = partial(
                another_policy, reference_policy, accelerator,
                attention=attention, shard=settings.shard,
            )  # fmt: skip
            bare = [replace(pair, reference_chosen=None, reference_rejected=None) for pair in both]
            references = sums(bare, first, anchor, "reference.json")
        known = [
            replace(item, references=of_reference, starts=of_start)
            for item, of_reference, of_start in zip(
                (*items, *dev_items), references, starts, strict=True
            )
        ]
        return Prepared(
            items=known[: len(items)],
            dev_items=known[len(items) :],
            shortcuts=shortcut_accuracies(_carrying(dev_pairs, known[len(items) :])),
        )

    return fit(
        slm,
        dpo_method(loss, best_by, mean_gap(pairs) if loss.gap == "weight" else 1.0),
        prepare,
        settings,
        base=base,
        data=data_fingerprint(
            (
                " ".join(item.ids),
                (
                    item.group.prompt, *item.group.continuations, item.sides, item.draws,
                    *([item.gaps] if loss.gap != "none" else []),
                ),
            )
            for item in (*items, *dev_items)
        ),
        options={
            "loss": asdict(loss),
            "best_by": best_by,
            "reference_policy": None if anchor == base else anchor,
        },
        lora=lora or Lora(), out=out, adapter=adapter, attention=attention, tracked=tracked,
        diagnose=partial(diagnose, dev_pairs=len(set(map(draw_of, dev_pairs))), max_kl=max_kl),
        progress=progress,
    )  # fmt: skip


def _carrying(
    pairs: Sequence[PreferencePair], items: Sequence[PreferenceItem]
) -> list[PreferencePair]:
    """The pairs with their log-probabilities under the policy that training starts from."""
    sums = {
        name: both
        for item in items
        for name, both in zip(item.ids, item.starts.tolist(), strict=True)
    }
    return [
        replace(pair, reference_chosen=sums[pair.id][0], reference_rejected=sums[pair.id][1])
        for pair in pairs
    ]


def dpo_method(
    loss: PreferenceLoss, best_by: BestBy = "reward_accuracy", mean_gap: float = 1.0
) -> Method[PreferenceItem]:
    """A preference loss as the loop sees it: pairs in, losses and implicit rewards out.

    `mean_gap`: of the training pairs' scores, > 0, where the loss weighs pairs by it.
    """

    def losses(items: Sequence[PreferenceItem], sums: Tensor) -> Mapping[str, Tensor]:
        # Where each pair's chosen and rejected stand among the continuations of all items.
        places, begin = [], 0
        for item in items:
            places.append(item.sides + begin)
            begin += len(item.group.continuations)
        sides = torch.cat(places).to(sums.device)
        lengths = torch.tensor(
            [len(ids) for item in items for ids in item.group.continuations], device=sums.device
        )

        def of(name: str) -> Tensor:
            return torch.cat([getattr(item, name) for item in items]).to(sums)

        policy = Sides(*sums[sides].unbind(1))
        reference, start = Sides(*of("references").unbind(1)), Sides(*of("starts").unbind(1))
        units = Sides(*lengths[sides].unbind(1))
        reward = rewards(loss, policy, reference, units)
        gained = Sides(policy.chosen - start.chosen, policy.rejected - start.rejected)
        return {
            "loss": preference_loss(loss, policy, reference, units, of("gaps"), mean_gap),
            "reward_chosen": reward.chosen,
            "reward_rejected": reward.rejected,
            "chosen_nats": next_unit_loss(policy.chosen, units.chosen).detach(),
            "chosen_gain": (gained.chosen / units.chosen).detach(),
            # Of samples from the start: log-ratios estimate KL(start || policy).
            "kl": -torch.stack(gained).mean(0).detach(),
            "longer": units.margin,
            "repeats": torch.cat([item.repeats for item in items]),
            "share": torch.cat([item.shares for item in items]),
        }

    return Method(
        name="dpo",
        columns=_COLUMNS,
        losses=losses,
        figures=_figures,
        quality=(
            (lambda dev: (-dev["loss"],))
            if best_by == "loss"
            else (lambda dev: (dev["reward_accuracy"], dev["reward_margin"]))
        ),
        draw=draw_pairs,
    )


def _figures(columns: Mapping[str, Tensor]) -> dict[str, float]:
    """Means over pairs, where alternatives share the weight of one: `kl` in nats a continuation,
    `chosen_gain` in nats a unit, `longer` in units and `repeats` in auto-BLEU (chosen less
    rejected; where no pair says how much it repeats, it is left out)."""
    shares = columns["share"]
    means = {name: weighted_mean(columns[name], shares) for name in _MEANS}
    known = ~columns["repeats"].isnan()
    if known.any():
        means["repeats"] = weighted_mean(columns["repeats"][known], shares[known])
    return means | reward_figures(columns["reward_chosen"], columns["reward_rejected"], shares)
