"""Sharding: each process keeps a part of the frozen weights, and gathers a layer when it is read.

What is trained, an adapter, is small: it stays whole in every process, as without sharding. So the
optimizer, checkpoints and the saved adapter are the same either way.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn
from transformers.modeling_layers import GradientCheckpointingLayer


@contextmanager
def sharded(module: nn.Module, accelerator: Any, *, on: bool) -> Iterator[nn.Module]:
    """`module` on the accelerator's device, its frozen weights sharded over all processes (FSDP2).

    Sharding cannot be undone, so a copy of the structure is sharded: `module` keeps its weights
    where they are (on the host, if memory on the devices is short) and shares what is trainable.
    With `on` false, or one process, it is `module` itself that moves to the device.
    """
    if not on or accelerator.num_processes == 1:
        yield module.to(accelerator.device)
        return
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    trained = [weight for weight in module.parameters() if weight.requires_grad]
    for weight in trained:
        weight.data = weight.data.to(accelerator.device)
    clone = _same_weights(module)
    mesh = init_device_mesh(accelerator.device.type, (accelerator.num_processes,))
    layers = [part for part in clone.modules() if isinstance(part, GradientCheckpointingLayer)]
    for part in (*layers, clone):
        fully_shard(part, mesh=mesh, ignored_params=set(trained))
    for buffer in clone.buffers():
        buffer.data = buffer.data.to(accelerator.device)
    yield clone


def _same_weights(module: nn.Module) -> nn.Module:
    """A copy of the modules; trainable weights are the same objects, frozen ones the same data."""
    memo: dict[int, Any] = {}
    for weight in module.parameters():
        memo[id(weight)] = (
            weight if weight.requires_grad else nn.Parameter(weight.data, requires_grad=False)
        )
    clone: nn.Module = copy.deepcopy(module, memo)
    return clone
