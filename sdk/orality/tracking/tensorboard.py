"""TensorBoard: event files that `tensorboard --logdir` shows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter


class TensorBoardTracker:
    """Writes event files to `FOLDER/NAME`; the configuration is a text beside the figures.

    What a killed run logged of steps to come is marked as void, which TensorBoard heeds.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer: Any = None

    def start(self, name: str, config: Mapping[str, Any], *, first: int) -> None:
        """Open a new event file; the ones before it count up to `first`."""
        writer: Any = SummaryWriter
        self._writer = writer(str(self._folder / name), purge_step=first)
        text = json.dumps(config, indent=2, ensure_ascii=False, default=str)
        self._writer.add_text("config", "    " + text.replace("\n", "\n    "), first)

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Add a scalar for each figure."""
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step)

    def finish(self, status: str) -> None:
        """Write the rest and close the file."""
        self._writer.close()
