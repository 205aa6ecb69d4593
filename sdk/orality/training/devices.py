"""Where a training runs: one device, or several processes, as they were launched."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn

from orality.errors import TrainingError

PRECISIONS = ("float32", "bfloat16")


def accelerator_for(module: nn.Module) -> Any:
    """An accelerate.Accelerator on the kind of device that `module` is on.

    Raises TrainingError where `torchrun` started several processes that do not know each other.
    """
    on_cpu = next(module.parameters()).device.type == "cpu"
    accelerator = Accelerator(cpu=on_cpu)
    # Without this, each process would train its own copy and none would say so.
    wanted = int(os.environ.get("WORLD_SIZE", "1"))
    if accelerator.num_processes != wanted:
        raise TrainingError(
            f"{wanted} processes were launched, accelerate joined {accelerator.num_processes}; "
            "start them with torchrun (CPU) or accelerate launch (GPU)"
        )
    return accelerator


def autocast(device: torch.device, precision: str) -> AbstractContextManager[Any]:
    """bfloat16 where it is safe, or float32 throughout."""
    if precision not in PRECISIONS:
        raise TrainingError(f"got precision {precision!r}, wanted one of {', '.join(PRECISIONS)}")
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")
