"""One adapter for several rounds: their low-rank changes side by side are again one adapter."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from orality.errors import CheckpointError
from orality.store import read_json
from orality.store.folders import whole_folder


def combine_adapters(adapters: Sequence[Path], out: Path) -> Path:
    """Write the PEFT folder `out` that does to the base what `adapters` do merged in order.

    W + s1 B1 A1 + s2 B2 A2 = W + s [B1 B2] [A1; A2] when the scale s = alpha / r is the same: ranks
    and alphas add up. Raises CheckpointError when targets or scales of the adapters differ.
    """
    if not adapters:
        raise CheckpointError("there is no adapter to combine")
    configs = [read_json(path / "adapter_config.json") for path in adapters]
    weights = [load_file(path / "adapter_model.safetensors") for path in adapters]
    scales = {config["lora_alpha"] / config["r"] for config in configs}
    if len(scales) > 1 or any(set(found) != set(weights[0]) for found in weights):
        raise CheckpointError(
            "adapters of different targets or scales cannot become one; load them in order with "
            "orality.training.load_policy"
        )
    combined: dict[str, torch.Tensor] = {}
    for name in weights[0]:
        # lora_A: (r, in), lora_B: (out, r)
        along = 0 if ".lora_A." in name else 1
        combined[name] = torch.cat([found[name] for found in weights], dim=along).contiguous()
    config: dict[str, Any] = {
        **configs[0],
        "r": sum(config["r"] for config in configs),
        "lora_alpha": sum(config["lora_alpha"] for config in configs),
    }
    with whole_folder(out) as partial:
        save_file(combined, partial / "adapter_model.safetensors")
        (partial / "adapter_config.json").write_text(json.dumps(config, indent=2), "utf-8")
        card = read_json(adapters[0] / "orality.json")  # its base is the pre-trained model
        (partial / "orality.json").write_text(json.dumps(card, indent=1), "utf-8")
    return out
