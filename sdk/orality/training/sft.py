"""Supervised fine-tuning: continued next-unit prediction, the baseline of every alignment."""

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
from orality.training.log_probs import Row, sequence_row, sum_log_probs
from orality.training.loop import Settings
from orality.training.losses import next_unit_loss
from orality.training.method import Method
from orality.types import Units


@dataclass(frozen=True, slots=True, eq=False)
class SequenceItem:
    """A sequence as the model reads it."""

    id: str
    row: Row


def train_sft(
    slm: SpeechLM,
    sequences: Sequence[tuple[str, Units]],
    dev_sequences: Sequence[tuple[str, Units]] = (),
    *,
    out: Path,
    adapter: Path | None = None,
    learning_rate: float = 1e-6,
    warmup_steps: int = 500,
    steps: int | None = None,
    epochs: float | None = None,
    sequences_per_step: int = 512,
    micro_batch: int = 8,
    lora_r: int = 32,
    lora_alpha: int = 8,
    lora_dropout: float = 0.0,
    precision: str = "float32",
    max_grad_norm: float = 1.0,
    evaluate_every: int = 50,
    seed: int = 0,
    attention: str = AUTO,
    progress: Progress = silent,
) -> TrainResult:
    """Train a LoRA adapter on (id, units) sequences; every unit but the first is predicted.

    Folders, resuming and errors are those of `train_dpo`; the best step is the one with the
    lowest dev loss, in nats per unit.
    """
    if not sequences:
        raise TrainingError("there are no sequences to train on; check the corpus and its splits")
    both = [*sequences, *dev_sequences]
    unique_ids([name for name, _ in both])
    items = [
        SequenceItem(name, sequence_row(slm, units, name=f"sequence {name}"))
        for name, units in both
    ]
    settings = Settings(
        learning_rate=learning_rate, warmup_steps=warmup_steps, steps=steps, epochs=epochs,
        items_per_step=sequences_per_step, micro_batch=micro_batch, precision=precision,
        max_grad_norm=max_grad_norm, evaluate_every=evaluate_every, seed=seed,
    )  # fmt: skip
    return fit(
        slm, sft_method(), lambda policy: (items[: len(sequences)], items[len(sequences) :]),
        settings, base=policy_fingerprint(slm),
        data=data_fingerprint((item.id, [item.row.ids]) for item in items), options={},
        lora=Lora(r=lora_r, alpha=lora_alpha, dropout=lora_dropout),
        out=out, adapter=adapter, attention=attention, progress=progress,
    )  # fmt: skip


def sft_method() -> Method[SequenceItem]:
    """Next-unit prediction as the loop sees it; each sequence weighs the same."""

    def losses(
        module: nn.Module, items: Sequence[SequenceItem], device: torch.device
    ) -> Mapping[str, Tensor]:
        sums = sum_log_probs(module, [item.row for item in items], device=device)
        lengths = torch.tensor([item.row.scored for item in items], device=device)
        return {"loss": next_unit_loss(sums, lengths)}

    return Method(
        name="sft",
        columns=("loss",),
        losses=losses,
        figures=lambda columns: {"loss": float(columns["loss"].double().mean())},
        quality=lambda dev: (-dev["loss"],),
        length=lambda item: len(item.row.ids),
    )
