"""The one training loop of the quantizer, the unit language model and the unit vocoder.

Resume is exact by construction: every random choice of a step derives from (seed, step), so a
checkpoint is the weights, the optimizers and a step number, and no generator's state is stored.
Under `torchrun` the processes share the work: `update` averages their gradients, the first writes.
"""

from __future__ import annotations

import json
import logging
import math
import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import distributed

from orality.errors import TrainingError
from orality.pretraining.state import read_checkpoint, write_checkpoint
from orality.progress import Progress, silent
from orality.store.folders import newest_step

logger = logging.getLogger(__name__)

Losses = Mapping[str, float | torch.Tensor]


class Stateful(Protocol):
    """What a checkpoint can hold: modules, optimizers, moving averages."""

    def state_dict(self) -> Any:
        """Tensors and plain values only, so that it loads without pickle."""
        ...

    def load_state_dict(self, state_dict: Any) -> Any:
        """Take back what `state_dict` gave."""
        ...


def run_training(
    *,
    out: Path,
    name: str,
    state: Mapping[str, Stateful],
    step: Callable[[int], Losses],
    total_steps: int,
    learning_rate: Callable[[int], float],
    optimizers: Mapping[str, torch.optim.Optimizer],
    seed: int = 0,
    evaluate: Callable[[int], Mapping[str, float]] | None = None,
    evaluate_every: int = 1000,
    log_every: int = 25,
    checkpoint_seconds: float = 120.0,
    keep: int = 2,
    settings: Mapping[str, Any] | None = None,
    progress: Progress = silent,
) -> int:
    """Call `step(0) ... step(total_steps - 1)`, survive being killed; returns the steps done now.

    `step` computes, goes backward and updates (see `update`); it returns the losses to log, and
    draws its data from (seed, step index) alone. `learning_rate(i)` is set on all `optimizers`
    before step i. `state` and `optimizers` are saved together under `out/checkpoints` every
    `checkpoint_seconds` and at the end; a second call with the same `out` continues from there.
    `settings`: what must not change between runs (`total_steps` may). Losses go to
    `out/losses.jsonl`, evaluations too. Raises TrainingError on a loss that is not finite (the
    last checkpoint stays), or when `out` belongs to other settings.
    """
    rank, _ = process_share()
    out.mkdir(parents=True, exist_ok=True)
    if rank == 0:
        stated = {"name": name, "seed": seed, **(settings or {})}
        _refuse_other_settings(out / "training.json", stated)
    parts: dict[str, Stateful] = {**state, **optimizers}
    if len(parts) != len(state) + len(optimizers):
        raise TrainingError("a part of the state and an optimizer share a name; rename one of them")
    first = _resume(out / "checkpoints", parts)
    if rank == 0:
        _drop_after(out / "losses.jsonl", first)
    saved = began = time.monotonic()
    for index in range(first, total_steps):
        _seed_everything(seed, index, rank)
        rate = learning_rate(index)
        for optimizer in optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = rate
        losses = {key: float(value) for key, value in step(index).items()}
        bad = [key for key, value in losses.items() if not math.isfinite(value)]
        if bad:
            raise TrainingError(
                f"{name}: {', '.join(bad)} is not finite at step {index}; the last checkpoint in "
                f"{out / 'checkpoints'} is sound: lower the learning rate and start again from it"
            )
        if rank != 0:
            continue
        done, now = index + 1, time.monotonic()
        record: dict[str, float] = {}
        if done % log_every == 0 or done == total_steps:
            record = {**losses, "learning_rate": rate, "seconds": round(now - began, 1)}
        if evaluate is not None and (done % evaluate_every == 0 or done == total_steps):
            record = {**losses, **record, **evaluate(done)}
        if record:
            _append(out / "losses.jsonl", {"step": done, **record})
        progress(name, done, total_steps, " ".join(f"{k} {v:.3f}" for k, v in losses.items()))
        if now - saved >= checkpoint_seconds or done == total_steps:
            values = {key: part.state_dict() for key, part in parts.items()}
            write_checkpoint(out / "checkpoints", done, values, keep=keep)
            saved = time.monotonic()
    return max(0, total_steps - first)


def update(
    loss: torch.Tensor, optimizer: torch.optim.Optimizer, *, clip: float | None = 1.0
) -> float:
    """One optimizer step on `loss`; returns the gradient norm before clipping (NaN without clip).

    A gradient that is not finite leaves the weights as they are; the loop then sees the loss.
    """
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    _average_gradients(weights)
    norm = math.nan
    if clip is not None:
        norm = float(torch.nn.utils.clip_grad_norm_(weights, clip))
        if not math.isfinite(norm):
            return norm
    optimizer.step()
    return norm


def warmup_then_linear(
    peak: float, total_steps: int, *, warmup: int = 200, hold: float = 0.3, floor: float = 0.02
) -> Callable[[int], float]:
    """A learning rate that rises over `warmup` steps, holds until `hold` of the run, then falls.

    The fall is linear down to `floor * peak` at the end.
    """

    def rate(step: int) -> float:
        rise = min(1.0, (step + 1) / max(1, warmup))
        share = (step + 1) / max(1, total_steps)
        fall = 1.0 if share < hold else max(floor, 1.0 - (share - hold) / max(1e-9, 1.0 - hold))
        return peak * rise * fall

    return rate


def rng_of(seed: int, *keys: int) -> np.random.Generator:
    """A generator that depends on the seed and the keys (a step, a rank) and on nothing else."""
    return np.random.default_rng([seed, *keys])


def join_processes(device: torch.device) -> None:
    """Join the group that `torchrun` started; nothing happens without one."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not distributed.is_initialized():
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")


def process_share() -> tuple[int, int]:
    """(which of the processes this is, how many there are); (0, 1) when alone."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def pick_device(device: str = "auto") -> torch.device:
    """`auto` is the GPU where there is one; anything else is taken as torch names it."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.device(device)
    except RuntimeError as error:
        raise TrainingError(f"{device!r} is no device; use auto, cpu or cuda") from error


def bfloat16(device: torch.device, enabled: bool = True) -> AbstractContextManager[Any]:
    """Autocast to bfloat16 on CPU or GPU; weights and the loss stay float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled)


def _average_gradients(weights: Sequence[torch.Tensor]) -> None:
    _, count = process_share()
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    if count == 1 or not gradients:
        return
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    distributed.all_reduce(flat)
    flat /= count
    parts = torch.split(flat, [gradient.numel() for gradient in gradients])
    for gradient, mean in zip(gradients, parts, strict=True):
        gradient.copy_(mean.view_as(gradient))


def _seed_everything(seed: int, step: int, rank: int) -> None:
    value = int(rng_of(seed, step, rank).integers(2**31))
    torch.manual_seed(value)
    random.seed(value)
    np.random.seed(value)


def _resume(folder: Path, parts: Mapping[str, Stateful]) -> int:
    path = newest_step(folder)
    if path is None:
        return 0
    step, values = read_checkpoint(path)
    if set(values) != set(parts):
        raise TrainingError(
            f"{path} holds {sorted(values)}, this training has {sorted(parts)}; use another folder"
        )
    for key, part in parts.items():
        try:
            part.load_state_dict(values[key])
        except (RuntimeError, ValueError, KeyError) as error:
            raise TrainingError(f"{path}: {key} does not fit this model: {error}") from error
    logger.info("continuing from %s", path)
    return step


def _refuse_other_settings(path: Path, settings: dict[str, Any]) -> None:
    text = json.dumps(settings, sort_keys=True, indent=1, default=str)
    if not path.exists():
        path.write_text(text, encoding="utf-8")
    elif path.read_text(encoding="utf-8") != text:
        raise TrainingError(
            f"{path.parent} belongs to a training with other settings (see {path.name}); "
            "use another folder, or remove it to start over"
        )


def _drop_after(path: Path, step: int) -> None:
    """Forget lines that a killed run wrote after its last checkpoint: they come again."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line + "\n")
        except (ValueError, KeyError):  # the line a kill cut short
            continue
    path.write_text("".join(kept), encoding="utf-8")


def _append(path: Path, record: Mapping[str, float]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")
