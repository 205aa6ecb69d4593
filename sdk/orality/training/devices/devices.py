"""Where a training runs: one device, or several processes, as they were launched."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor, nn

from orality.errors import TrainingError


def accelerator_for(module: nn.Module, *, shard: bool = False) -> Any:
    """An accelerate.Accelerator on the kind of device that `module` is on.

    A model to be sharded may stay on the host: its shards go to the GPUs where there are some.
    Raises TrainingError where `torchrun` started several processes that do not know each other,
    or accelerate was told to shard by itself.
    """
    if os.environ.get("ACCELERATE_USE_FSDP", "").lower() in ("1", "true"):
        raise TrainingError(
            "accelerate is configured for FSDP, which would shard the adapter too; launch with "
            "--multi_gpu and set shard=True (training.shard in a recipe) instead"
        )
    on_cpu = next(module.parameters()).device.type == "cpu"
    on_cpu = on_cpu and not (shard and torch.cuda.is_available())
    accelerator = Accelerator(cpu=on_cpu)
    # Without this, each process would train its own copy and none would say so.
    wanted = int(os.environ.get("WORLD_SIZE", "1"))
    if accelerator.num_processes != wanted:
        raise TrainingError(
            f"{wanted} processes were launched, accelerate joined {accelerator.num_processes}; "
            "start them with torchrun (CPU) or accelerate launch (GPU)"
        )
    return accelerator


def sum_gradients(accelerator: Any, weights: Iterable[Tensor]) -> None:
    """Add the gradients of all processes up, each process holding the same weights.

    Once a step and in one piece: an adapter is small, and its gradients are complete only when
    every row has been read.
    """
    if accelerator.num_processes == 1:
        return
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    summed = accelerator.reduce(flat, reduction="sum")
    sizes = [gradient.numel() for gradient in gradients]
    for gradient, part in zip(gradients, torch.split(summed, sizes), strict=True):
        gradient.copy_(part.view_as(gradient))


def require_agreement(accelerator: Any, identity: str) -> None:
    """Raise TrainingError where processes are about to train different things."""
    if accelerator.num_processes == 1:
        return
    found = gather_object([identity])
    if len(set(found)) > 1:
        raise TrainingError(
            f"{len(set(found))} different trainings were started in {len(found)} processes; all of "
            "them need the same model, data and settings"
        )
