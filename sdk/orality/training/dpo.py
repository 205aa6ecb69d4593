"""Direct preference optimization: from preference pairs to an adapter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from orality.errors import TrainingError
from orality.progress import Progress, silent
from orality.protocols import SpeechLM
from orality.training.attention import AUTO
from orality.training.fingerprint import data_fingerprint, policy_fingerprint
from orality.training.fit import Lora, TrainResult, fit, unique_ids
from orality.training.log_probs import Row, continuation_row, sum_log_probs
from orality.training.loop import Settings
from orality.training.losses import dpo_loss, next_unit_loss, reward_figures
from orality.training.method import Method
from orality.training.reference import pair_references
from orality.types import PreferencePair


@dataclass(frozen=True, slots=True, eq=False)
class PairItem:
    """A pair as the model reads it; `reference_*`: sums in nats over the continuations."""

    id: str
    chosen: Row
    rejected: Row
    reference_chosen: float
    reference_rejected: float


def train_dpo(
    slm: SpeechLM,
    pairs: Sequence[PreferencePair],
    dev_pairs: Sequence[PreferencePair] = (),
    *,
    out: Path,
    adapter: Path | None = None,
    reference: str | None = None,
    beta: float = 0.1,
    learning_rate: float = 1e-6,
    warmup_steps: int = 500,
    steps: int | None = None,
    epochs: float | None = None,
    pairs_per_step: int = 512,
    micro_batch: int = 8,
    lora_r: int = 32,
    lora_alpha: int = 8,
    lora_dropout: float = 0.0,
    sft_weight: float = 0.0,
    precision: str = "float32",
    max_grad_norm: float = 1.0,
    evaluate_every: int = 50,
    seed: int = 0,
    attention: str = AUTO,
    progress: Progress = silent,
) -> TrainResult:
    """Train a LoRA adapter to prefer chosen over rejected; the reference is `slm` as it is.

    `out` gets metrics and checkpoints, and the adapter (PEFT) unless `adapter` names another
    folder; it holds the step with the best dev reward accuracy. Called again with the same
    arguments, it continues; `slm` is unchanged afterwards. `reference`: the fingerprint under
    which pairs carry log-probabilities of `slm` (default: `policy_fingerprint(slm)`).
    `sft_weight`: weight of an added next-unit loss on the chosen continuation, per unit. Without
    `steps` and `epochs`: one epoch. Raises TrainingError when there are no pairs, when they do
    not fit the model, or when a loss is not finite. Defaults: Align-SLM, section 4.
    """
    if not pairs:
        raise TrainingError(
            "there are no preference pairs to train on; lower the thresholds, raise the allowed "
            "auto-BLEU, or sample more prompts"
        )
    if not beta > 0 or sft_weight < 0:
        raise TrainingError(
            f"got beta={beta}, sft_weight={sft_weight}; wanted beta > 0, weight >= 0"
        )
    both = [*pairs, *dev_pairs]
    unique_ids([pair.id for pair in both])
    rows = [_rows(slm, pair) for pair in both]
    base = policy_fingerprint(slm)

    def prepare(policy: SpeechLM) -> tuple[Sequence[PairItem], Sequence[PairItem]]:
        sums = pair_references(
            policy.module, both, rows, reference=reference or base, store=out / "reference.json",
            micro_batch=micro_batch, precision=precision, progress=progress,
        )  # fmt: skip
        items = [
            PairItem(pair.id, *pair_rows, *pair_sums)
            for pair, pair_rows, pair_sums in zip(both, rows, sums, strict=True)
        ]
        return items[: len(pairs)], items[len(pairs) :]

    settings = Settings(
        learning_rate=learning_rate, warmup_steps=warmup_steps, steps=steps, epochs=epochs,
        items_per_step=pairs_per_step, micro_batch=micro_batch, precision=precision,
        max_grad_norm=max_grad_norm, evaluate_every=evaluate_every, seed=seed,
    )  # fmt: skip
    data = data_fingerprint(
        (pair.id, (part for row in pair_rows for part in (row.ids, torch.tensor(row.start))))
        for pair, pair_rows in zip(both, rows, strict=True)
    )
    return fit(
        slm, dpo_method(beta=beta, sft_weight=sft_weight), prepare, settings,
        base=base, data=data, options={"beta": beta, "sft_weight": sft_weight},
        lora=Lora(r=lora_r, alpha=lora_alpha, dropout=lora_dropout),
        out=out, adapter=adapter, attention=attention, progress=progress,
    )  # fmt: skip


def dpo_method(*, beta: float, sft_weight: float = 0.0) -> Method[PairItem]:
    """Equation 3 as the loop sees it: pairs in, losses and implicit rewards out."""

    def losses(
        module: nn.Module, items: Sequence[PairItem], device: torch.device
    ) -> Mapping[str, Tensor]:
        chosen = [item.chosen for item in items]
        rejected = [item.rejected for item in items]
        # One forward for both sides, which is what DDP expects of one backward.
        sums = sum_log_probs(module, [*chosen, *rejected], device=device)
        policy_chosen, policy_rejected = sums.chunk(2)
        terms = dpo_loss(
            policy_chosen,
            policy_rejected,
            torch.tensor([item.reference_chosen for item in items], device=device),
            torch.tensor([item.reference_rejected for item in items], device=device),
            beta=beta,
        )
        lengths = torch.tensor([row.scored for row in chosen], device=device)
        sft = next_unit_loss(policy_chosen, lengths)
        return {
            "loss": terms.loss + sft_weight * sft if sft_weight else terms.loss,
            "reward_chosen": terms.reward_chosen,
            "reward_rejected": terms.reward_rejected,
            "chosen_nats": sft.detach(),
        }

    return Method(
        name="dpo",
        columns=("loss", "reward_chosen", "reward_rejected", "chosen_nats"),
        losses=losses,
        figures=_figures,
        quality=lambda dev: (dev["reward_accuracy"], dev["reward_margin"]),
        length=lambda item: max(len(item.chosen.ids), len(item.rejected.ids)),
    )


def _figures(columns: Mapping[str, Tensor]) -> dict[str, float]:
    means = {name: float(column.double().mean()) for name, column in columns.items()}
    return means | reward_figures(columns["reward_chosen"], columns["reward_rejected"])


def _rows(slm: SpeechLM, pair: PreferencePair) -> tuple[Row, Row]:
    return (
        continuation_row(slm, pair.prompt, pair.chosen, name=f"pair {pair.id}, chosen"),
        continuation_row(slm, pair.prompt, pair.rejected, name=f"pair {pair.id}, rejected"),
    )
