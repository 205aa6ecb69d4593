"""The one training loop: any method, any number of processes, resumed exactly where it stopped.

Everything random in a step derives from (seed, step), so a checkpoint is weights, optimizer and a
step number. Dropout is off (but for an adapter's own), so that policy and reference compare.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from orality.errors import TrainingError
from orality.progress import Progress, silent
from orality.tracking import Log, Tracked
from orality.training.attention import Backend
from orality.training.checkpoints import latest_checkpoint, write_checkpoint
from orality.training.devices.devices import sum_gradients
from orality.training.devices.precision import PRECISIONS, autocast
from orality.training.log_probs import Score, sum_log_probs
from orality.training.method import ItemT, Method
from orality.training.metrics import append_metrics, rewind_metrics, tracked_figures
from orality.training.rows.columns import compute_columns, share_columns
from orality.training.schedule import learning_rate, rows_of, steps_from, total_steps

logger = logging.getLogger(__name__)

CHECKPOINT_SECONDS = 120.0


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to optimize; the defaults are those of Align-SLM, section 4.

    Without `steps` and `epochs`: one epoch. `items_per_step` pairs (or sequences) make a step,
    read in rows of at most `max_tokens` tokens, as many as it takes: neither the rows nor the
    number of processes change the loss. `precision`: float32 or bfloat16.
    `activation_checkpointing` saves memory for a third more time; `compile` lets torch.compile
    fuse the model; `shard` divides the frozen weights among the processes.
    """

    learning_rate: float = 1e-6
    warmup_steps: int = 500
    steps: int | None = None
    epochs: float | None = None
    items_per_step: int = 512
    max_tokens: int = 4096
    precision: str = "float32"
    max_grad_norm: float = 1.0
    evaluate_every: int = 50
    activation_checkpointing: bool = False
    compile: bool = False
    shard: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        wanted = {
            "learning_rate above 0": self.learning_rate > 0,
            "warmup_steps at least 0": self.warmup_steps >= 0,
            "items_per_step at least 1": self.items_per_step >= 1,
            "max_tokens at least 1": self.max_tokens >= 1,
            f"precision one of {', '.join(PRECISIONS)}": self.precision in PRECISIONS,
            "max_grad_norm above 0": self.max_grad_norm > 0,
            "evaluate_every at least 1": self.evaluate_every >= 1,
        }
        problems = [rule for rule, kept in wanted.items() if not kept]
        if problems:
            raise TrainingError(f"got {self}; wanted {'; '.join(problems)}")


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
    accelerator: Any,
    backend: Backend | None,
    out: Path,
    tracked: Tracked | None = None,
    constants: Mapping[str, float] | None = None,
    progress: Progress = silent,
) -> Outcome:
    """Optimize what is trainable in `module`, and leave the best dev step's weights in it.

    `backend`: what `packed_attention` gave for the module. Without dev items the last step is the
    best. Writes `out/metrics.jsonl` and `out/checkpoints`, and continues from there when called
    again with the same arguments. `tracked`: who follows; None in all processes but the main one.
    `constants`: figures of the dev items that are recorded with each evaluation.
    Raises TrainingError, naming the items, when a loss or a gradient is not finite; the checkpoints
    written before stay.
    """
    per_step, seed = settings.items_per_step, settings.seed
    sizes = tuple(len(method.draw(item, 0, seed).ids) for item in items)
    total = total_steps(sizes, per_step, seed=seed, steps=settings.steps, epochs=settings.epochs)
    if settings.warmup_steps >= total:
        logger.warning(
            "%d warm-up steps in a training of %d: the learning rate never reaches its peak",
            settings.warmup_steps, total,
        )  # fmt: skip
    weights = {name: weight for name, weight in module.named_parameters() if weight.requires_grad}
    optimizer = torch.optim.AdamW(weights.values(), lr=0.0, weight_decay=0.0, fused=True)
    best = {name: weight.detach().clone() for name, weight in weights.items()}
    outcome = _resume(out, weights, best, optimizer)
    rewind_metrics(out / "metrics.jsonl", outcome.steps)
    saved = time.monotonic()
    run: Any = torch.compile(module, dynamic=True) if settings.compile else module
    step_of = _Step(accelerator, partial(sum_log_probs, run, backend=backend), settings)

    steps = steps_from(sizes, per_step, first=outcome.steps, seed=seed)
    unseen: Log = lambda figures, step: None  # noqa: E731
    with nullcontext(unseen) if tracked is None else tracked.opened(outcome.steps) as log:
        for step, (epoch, chosen) in zip(range(outcome.steps, total), steps, strict=False):
            began = time.monotonic()
            torch.manual_seed(seed * 1_000_003 + step)  # only an adapter's dropout draws
            batch = [method.draw(items[index], epoch, seed) for index in chosen]
            rate = learning_rate(
                step, peak=settings.learning_rate, warmup_steps=settings.warmup_steps, total=total
            )
            for group in optimizer.param_groups:
                group["lr"] = rate

            _set_dropout(module, on=True)
            columns = step_of(method, batch, number=step + 1)
            sum_gradients(accelerator, weights.values())
            norm = float(torch.nn.utils.clip_grad_norm_(weights.values(), settings.max_grad_norm))
            if not math.isfinite(norm):
                raise _not_finite(
                    "gradient", step + 1, [name for item in batch for name in item.ids]
                )
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            speed = sum(item.group.tokens for item in batch) / (time.monotonic() - began)

            done = outcome.steps = step + 1
            outcome.train = method.figures(columns)
            record = {"step": done, **outcome.train, "gradient_norm": norm, "learning_rate": rate}
            due = done % settings.evaluate_every == 0 or done == total
            if due and dev_items:
                _set_dropout(module, on=False)
                dev = method.figures(
                    compute_columns(
                        accelerator, step_of.score, dev_items, method.losses,
                        columns=method.columns, max_tokens=settings.max_tokens,
                        precision=settings.precision,
                    )
                )  # fmt: skip
                seen = {**(constants or {}), **dev}
                record |= {f"dev_{name}": value for name, value in seen.items()}
                if not outcome.dev or method.quality(dev) > method.quality(outcome.dev):
                    outcome.best_step, outcome.dev = done, dev
                    _copy(weights, into=best)
            if not dev_items and done == total:
                outcome.best_step = done
                _copy(weights, into=best)
            if accelerator.is_main_process:
                record["seconds"] = round(time.monotonic() - began, 3)
                append_metrics(out / "metrics.jsonl", record)
                log(tracked_figures({**record, "tokens_per_second": speed}), done)
                if due or time.monotonic() - saved >= CHECKPOINT_SECONDS:
                    _save(out, weights, best, optimizer, outcome)
                    saved = time.monotonic()
            progress(method.name, done, total, f"loss {outcome.train['loss']:.4f}")

    accelerator.wait_for_everyone()
    _copy(best, into=weights)
    _set_dropout(module, on=False)
    return outcome


@dataclass(frozen=True, slots=True)
class _Step:
    """Forward and backward of a whole step, in as many rows as it takes."""

    accelerator: Any
    score: Score
    settings: Settings

    def __call__(
        self, method: Method[ItemT], batch: Sequence[ItemT], *, number: int
    ) -> dict[str, Tensor]:
        """Accumulate the gradient of the mean loss; returns the columns of all that was read."""
        accelerator = self.accelerator
        share = 1 / sum(len(item.ids) for item in batch)
        rows = rows_of(
            [item.group.tokens for item in batch], self.settings.max_tokens,
            processes=accelerator.num_processes, process=accelerator.process_index,
        )  # fmt: skip
        parts = []
        for indices, counts in rows:
            some = [batch[index] for index in indices]
            try:
                with autocast(accelerator.device, self.settings.precision):
                    sums = self.score([item.group for item in some])
                columns = method.losses(some, sums)
                torch.autograd.backward(columns["loss"].sum() * (share if counts else 0.0))
            except torch.OutOfMemoryError as error:
                raise TrainingError(
                    f"out of memory at step {number} with max_tokens={self.settings.max_tokens}; "
                    "lower it, or set activation_checkpointing, and start again: training "
                    "continues from the last checkpoint"
                ) from error
            if counts:
                parts.append((indices, columns))
        # One look at the results a step: each would make a GPU wait.
        columns = share_columns(accelerator, parts, batch, columns=method.columns)
        names = [name for item in batch for name in item.ids]
        finite = columns["loss"].isfinite().tolist()
        if not all(finite):
            bad = [name for name, fine in zip(names, finite, strict=True) if not fine]
            raise _not_finite("loss", number, bad)
        return columns


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
