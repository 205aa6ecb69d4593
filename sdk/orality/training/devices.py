"""Where a training runs: one device, or several processes, as they were launched."""

from __future__ import annotations

import os
from typing import Any

from accelerate import Accelerator
from torch import nn

from orality.errors import TrainingError


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
