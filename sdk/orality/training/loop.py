"""The one training loop: any method, any number of processes, resumed exactly where it stopped.

Everything random in a step derives from (seed, step), so a checkpoint is weights, optimizer and a
step number. Dropout is off (but for an adapter's own), so that policy and reference compare.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from orality.errors import TrainingError
from orality.progress import Progress, silent
from orality.training.checkpoints import latest_checkpoint, write_checkpoint
from orality.training.columns import compute_columns, share_columns
from orality.training.devices import accelerator_for, autocast
from orality.training.log_probs import micro_batches
from orality.training.method import ItemT, Method
from orality.training.metrics import append_metrics, rewind_metrics
from orality.training.schedule import items_of_step, learning_rate, total_steps

logger = logging.getLogger(__name__)

CHECKPOINT_SECONDS = 120.0


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to optimize. `items_per_step` is reached by accumulating `micro_batch` at a time."""

    learning_rate: float
    warmup_steps: int
    steps: int | None
    epochs: float | None
    items_per_step: int
    micro_batch: int
    precision: str
    max_grad_norm: float
    evaluate_every: int
    seed: int


@dataclass
class Outcome:
    """`dev`: figures of the best step, empty without dev items; `train`: of the last step."""

    steps: int = 0
    best_step: int = 0
    train: dict[str, float] = field(default_factory=dict)
    dev: dict[str, float] = field(default_factory=dict)


def train(
    module: nn.Module,
    method: Method[ItemT],
    items: Sequence[ItemT],
    dev_items: Sequence[ItemT],
    settings: Settings,
    *,
    out: Path,
    progress: Progress = silent,
) -> Outcome:
    """Optimize what is trainable in `module`, and leave the best dev step's weights in it.

    Without dev items the last step is the best. Writes `out/metrics.jsonl` and
    `out/checkpoints`, and continues from there when called again with the same arguments. Raises
    TrainingError, naming the items, when a loss or a gradient is not finite; the checkpoints
    written before stay.
    """
    accelerator = accelerator_for(module)
    total = total_steps(
        len(items), settings.items_per_step, steps=settings.steps, epochs=settings.epochs
    )
    if settings.warmup_steps >= total:
        logger.warning(
            "%d warm-up steps in a training of %d: the learning rate never reaches its peak",
            settings.warmup_steps, total,
        )  # fmt: skip
    model = accelerator.prepare(module)
    weights = {name: weight for name, weight in module.named_parameters() if weight.requires_grad}
    optimizer = torch.optim.AdamW(weights.values(), lr=0.0, weight_decay=0.0)
    best = {name: weight.detach().clone() for name, weight in weights.items()}
    outcome = _resume(out, weights, best, optimizer)
    rewind_metrics(out / "metrics.jsonl", outcome.steps)
    saved = time.monotonic()

    for step in range(outcome.steps, total):
        began = time.monotonic()
        torch.manual_seed(settings.seed * 1_000_003 + step)  # only an adapter's dropout draws
        chosen = items_of_step(len(items), settings.items_per_step, step=step, seed=settings.seed)
        batch = [items[index] for index in chosen]
        rate = learning_rate(
            step, peak=settings.learning_rate, warmup_steps=settings.warmup_steps, total=total
        )
        for group in optimizer.param_groups:
            group["lr"] = rate

        _set_dropout(module, on=True)
        columns = _backward(accelerator, model, method, batch, settings, step=step + 1)
        norm = float(torch.nn.utils.clip_grad_norm_(weights.values(), settings.max_grad_norm))
        if not torch.isfinite(torch.tensor(norm)):
            raise _not_finite("gradient", step + 1, [item.id for item in batch])
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

        done = outcome.steps = step + 1
        outcome.train = method.figures(columns)
        record = {"step": done, **outcome.train, "gradient_norm": norm, "learning_rate": rate}
        due = done % settings.evaluate_every == 0 or done == total
        if due and dev_items:
            _set_dropout(module, on=False)
            dev = method.figures(
                compute_columns(
                    accelerator, model, dev_items, method.losses,
                    columns=method.columns, length=method.length,
                    micro_batch=settings.micro_batch, precision=settings.precision,
                )
            )  # fmt: skip
            record |= {f"dev_{name}": value for name, value in dev.items()}
            if not outcome.dev or method.quality(dev) > method.quality(outcome.dev):
                outcome.best_step, outcome.dev = done, dev
                _copy(weights, into=best)
        if not dev_items and done == total:
            outcome.best_step = done
            _copy(weights, into=best)
        if accelerator.is_main_process:
            record["seconds"] = round(time.monotonic() - began, 3)
            append_metrics(out / "metrics.jsonl", record)
            if due or time.monotonic() - saved >= CHECKPOINT_SECONDS:
                _save(out, weights, best, optimizer, outcome)
                saved = time.monotonic()
        progress(method.name, done, total, f"loss {outcome.train['loss']:.4f}")

    accelerator.wait_for_everyone()
    _copy(best, into=weights)
    _set_dropout(module, on=False)
    return outcome


def _backward(
    accelerator: Any,
    model: nn.Module,
    method: Method[ItemT],
    batch: Sequence[ItemT],
    settings: Settings,
    *,
    step: int,
) -> dict[str, Tensor]:
    """Accumulate the gradient of the batch's mean loss; returns the columns of all its items."""
    processes = accelerator.num_processes
    own = list(range(accelerator.process_index, len(batch), processes))
    share = processes / len(batch)  # gradients are averaged over processes, the loss over items
    if not own:  # a short last batch: every process has to go backward, this one for nothing
        own, share = [0], 0.0
    mine = [batch[index] for index in own]
    groups = micro_batches(mine, settings.micro_batch, length=method.length)
    parts = []
    for number, group in enumerate(groups, start=1):
        part = [mine[index] for index in group]
        waiting = accelerator.no_sync(model) if number < len(groups) else nullcontext()
        try:
            with waiting:
                with autocast(accelerator.device, settings.precision):
                    columns = method.losses(model, part, accelerator.device)
                loss = columns["loss"]
                if not bool(torch.isfinite(loss).all()):
                    bad = [item.id for item, x in zip(part, loss, strict=True) if not x.isfinite()]
                    raise _not_finite("loss", step, bad)
                accelerator.backward(loss.sum() * share)
        except torch.OutOfMemoryError as error:
            raise TrainingError(
                f"out of memory at step {step} with micro_batch={settings.micro_batch}; lower it "
                "and start again: training continues from the last checkpoint"
            ) from error
        if share:
            parts.append(([own[index] for index in group], columns))
    return share_columns(accelerator, parts, columns=method.columns, total=len(batch))


def _not_finite(what: str, step: int, ids: Sequence[str]) -> TrainingError:
    shown = ", ".join(ids[:8]) + (f" and {len(ids) - 8} more" if len(ids) > 8 else "")
    return TrainingError(
        f"the {what} is not finite at step {step}, in: {shown}; look at these items, or lower the "
        "learning rate; the weights before this step are in the last checkpoint"
    )


def _set_dropout(module: nn.Module, *, on: bool) -> None:
    module.eval()
    for name, part in module.named_modules():
        if "lora_dropout" in name:
            part.train(on)


@torch.no_grad()
def _copy(source: Mapping[str, Tensor], *, into: Mapping[str, Tensor]) -> None:
    for name, tensor in source.items():
        into[name].copy_(tensor)


def _save(
    out: Path,
    weights: Mapping[str, Tensor],
    best: Mapping[str, Tensor],
    optimizer: torch.optim.Optimizer,
    outcome: Outcome,
) -> None:
    tensors = {f"weights/{name}": tensor for name, tensor in weights.items()}
    tensors |= {f"best/{name}": tensor for name, tensor in best.items()}
    for name, weight in weights.items():
        for key, value in optimizer.state[weight].items():
            tensors[f"optimizer/{key}/{name}"] = value
    values = {"best_step": outcome.best_step, "train": outcome.train, "dev": outcome.dev}
    write_checkpoint(out / "checkpoints", outcome.steps, tensors, values, keep=2)


def _resume(
    out: Path,
    weights: Mapping[str, Tensor],
    best: Mapping[str, Tensor],
    optimizer: torch.optim.Optimizer,
) -> Outcome:
    checkpoint = latest_checkpoint(out / "checkpoints")
    if checkpoint is None:
        return Outcome()
    logger.info("training continues after step %d", checkpoint.step)
    _copy({name: checkpoint.tensors[f"weights/{name}"] for name in weights}, into=weights)
    _copy({name: checkpoint.tensors[f"best/{name}"] for name in best}, into=best)
    state: dict[int, dict[str, Tensor]] = {index: {} for index in range(len(weights))}
    index_of = {name: index for index, name in enumerate(weights)}
    for full_name, tensor in checkpoint.tensors.items():
        part, _, rest = full_name.partition("/")
        if part == "optimizer":
            key, _, name = rest.partition("/")
            state[index_of[name]][key] = tensor
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
    return Outcome(checkpoint.step, **checkpoint.values)
