"""The adapter as PEFT loads it."""

from __future__ import annotations

import json
from pathlib import Path

from orality.sharing.base import BaseModel
from orality.sharing.source import SharedRun
from orality.store import read_json, write_json
from orality.training.combine import combine_adapters


def write_adapter(run: SharedRun, base: BaseModel, folder: Path) -> None:
    """Write a PEFT folder; the adapters of several rounds become one that does the same.

    Raises CheckpointError when they cannot.
    """
    combine_adapters(run.adapters, folder)
    config = {
        **read_json(folder / "adapter_config.json"),
        "base_model_name_or_path": base.for_peft,
    }
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n", "utf-8")
    card = read_json(folder / "orality.json")
    write_json(folder / "orality.json", {**card, "base_model": base.component})
