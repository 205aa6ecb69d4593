"""Supervised fine-tuning: continued next-unit prediction, the baseline of every alignment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from orality.errors import TrainingError
from orality.progress import Progress, silent
from orality.protocols import SpeechLM
from orality.tracking import Tracked
from orality.training.attention import AUTO
from orality.training.fingerprint import data_fingerprint, policy_fingerprint
from orality.training.fit import Lora, Prepared, TrainResult, fit, unique_ids
from orality.training.log_probs import sequence_group
from orality.training.loop import Settings
from orality.training.losses import next_unit_loss
from orality.training.method import Method
from orality.training.rows.packing import Group
from orality.types import Units


@dataclass(frozen=True, slots=True, eq=False)
class SequenceItem:
    """A sequence as the model reads it."""

    ids: tuple[str]
    group: Group


def train_sft(
    slm: SpeechLM,
    sequences: Sequence[tuple[str, Units]],
    dev_sequences: Sequence[tuple[str, Units]] = (),
    *,
    out: Path,
    adapter: Path | None = None,
    settings: Settings | None = None,
    lora: Lora | None = None,
    attention: str = AUTO,
    tracked: Tracked | None = None,
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
        SequenceItem((name,), sequence_group(slm, units, name=f"sequence {name}"))
        for name, units in both
    ]
    return fit(
        slm,
        sft_method(),
        lambda module, score, accelerator: Prepared(
            items=items[: len(sequences)], dev_items=items[len(sequences) :]
        ),
        settings or Settings(),
        base=policy_fingerprint(slm),
        data=data_fingerprint(
            (item.ids[0], [item.group.prompt, *item.group.continuations]) for item in items
        ),
        options={},
        lora=lora or Lora(),
        out=out,
        adapter=adapter,
        attention=attention,
        tracked=tracked,
        progress=progress,
    )


def sft_method() -> Method[SequenceItem]:
    """Next-unit prediction as the loop sees it; each sequence weighs the same."""

    def losses(items: Sequence[SequenceItem], sums: Tensor) -> Mapping[str, Tensor]:
        lengths = [len(item.group.continuations[0]) for item in items]
        return {"loss": next_unit_loss(sums, torch.tensor(lengths, device=sums.device))}

    return Method(
        name="sft",
        columns=("loss",),
        losses=losses,
        figures=lambda columns: {"loss": float(columns["loss"].mean())},
        quality=lambda dev: (-dev["loss"],),
    )
