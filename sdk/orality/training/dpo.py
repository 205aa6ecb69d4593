"""Direct preference optimization: from preference pairs to an adapter."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from orality.errors import TrainingError
from orality.progress import Progress, silent
from orality.protocols import SpeechLM
from orality.tracking import Tracked
from orality.training.attention import AUTO
from orality.training.fingerprint import data_fingerprint, policy_fingerprint
from orality.training.fit import Lora, TrainResult, fit, unique_ids
from orality.training.log_probs import Score
from orality.training.loop import Settings
from orality.training.losses import (
    PreferenceLoss,
    Sides,
    next_unit_loss,
    preference_loss,
    reward_figures,
    rewards,
)
from orality.training.method import Method
from orality.training.preferences import PreferenceItem, preference_items
from orality.training.reference import with_references
from orality.types import PreferencePair

BestBy = Literal["reward_accuracy", "loss"]
_SIDES = ("reward_chosen", "reward_rejected")
_COLUMNS = ("loss", *_SIDES, "chosen_nats", "kl", "longer", "repeats")


def train_dpo(
    slm: SpeechLM,
    pairs: Sequence[PreferencePair],
    dev_pairs: Sequence[PreferencePair] = (),
    *,
    out: Path,
    adapter: Path | None = None,
    reference: str | None = None,
    loss: PreferenceLoss | None = None,
    settings: Settings | None = None,
    lora: Lora | None = None,
    attention: str = AUTO,
    best_by: BestBy = "reward_accuracy",
    tracked: Tracked | None = None,
    progress: Progress = silent,
) -> TrainResult:
    """Train a LoRA adapter to prefer chosen over rejected; the reference is `slm` as it is.

    `out` gets metrics and checkpoints, and the adapter (PEFT) unless `adapter` names another
    folder; it holds the best step by `best_by`: the dev pairs' reward accuracy (margin among
    equals), or their loss, which few dev pairs leave less to chance. Called again with the same
    arguments, it continues; `slm` is unchanged afterwards. `reference`: the fingerprint under
    which pairs carry log-probabilities of `slm` (default: `policy_fingerprint(slm)`).
    Pairs of one prompt share it in every row, and a continuation that is in several pairs is read
    once. `tracked`: who follows step by step. Raises TrainingError when there are no pairs, when
    they do not fit the model, or when a loss is not finite. Defaults: Align-SLM, section 4.
    """
    if not pairs:
        raise TrainingError(
            "there are no preference pairs to train on; lower the thresholds, raise the allowed "
            "auto-BLEU, or sample more prompts"
        )
    loss, settings = loss or PreferenceLoss(), settings or Settings()
    unique_ids([pair.id for pair in (*pairs, *dev_pairs)])
    items, dev_items = preference_items(slm, pairs), preference_items(slm, dev_pairs)
    base = policy_fingerprint(slm)

    def prepare(
        module: nn.Module, score: Score, accelerator: Any
    ) -> tuple[Sequence[PreferenceItem], Sequence[PreferenceItem]]:
        known = with_references(
            module, score, [*items, *dev_items], (*pairs, *dev_pairs),
            accelerator=accelerator, reference=reference or base,
            store=out / "reference.json", max_tokens=settings.max_tokens,
            precision=settings.precision, progress=progress,
        )  # fmt: skip
        return known[: len(items)], known[len(items) :]

    return fit(
        slm, dpo_method(loss, best_by), prepare, settings,
        base=base,
        data=data_fingerprint(
            (" ".join(item.ids), (item.group.prompt, *item.group.continuations, item.sides))
            for item in (*items, *dev_items)
        ),
        options={"loss": asdict(loss), "best_by": best_by},
        lora=lora or Lora(), out=out, adapter=adapter, attention=attention, tracked=tracked,
        progress=progress,
    )  # fmt: skip


def dpo_method(loss: PreferenceLoss, best_by: BestBy = "reward_accuracy") -> Method[PreferenceItem]:
    """A preference loss as the loop sees it: pairs in, losses and implicit rewards out."""

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
        reference = torch.cat([item.references for item in items]).to(sums)
        policy = Sides(*sums[sides].unbind(1))
        before = Sides(*reference.unbind(1))
        units = Sides(*lengths[sides].unbind(1))
        reward = rewards(loss, policy, before, units)
        return {
            "loss": preference_loss(loss, policy, before, units),
            "reward_chosen": reward.chosen,
            "reward_rejected": reward.rejected,
            "chosen_nats": next_unit_loss(policy.chosen, units.chosen).detach(),
            # Of samples from the reference: log-ratios estimate KL(reference || policy).
            "kl": (torch.stack(before) - torch.stack(policy)).mean(0).detach(),
            "longer": units.margin,
            "repeats": torch.cat([item.repeats for item in items]),
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
    )


def _figures(columns: Mapping[str, Tensor]) -> dict[str, float]:
    """Means over pairs: `kl` in nats a continuation, `longer` in units and `repeats` in auto-BLEU
    (chosen less rejected; where no pair says how much it repeats, it is left out)."""
    means = {name: float(column.double().mean()) for name, column in columns.items()}
    means["repeats"] = float(columns["repeats"].nanmean())
    if math.isnan(means["repeats"]):
        del means["repeats"]
    return means | reward_figures(*(columns[side] for side in _SIDES))
