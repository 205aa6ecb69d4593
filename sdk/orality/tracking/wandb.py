"""Weights & Biases, online or into a folder for `wandb sync`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import wandb

SECONDS = 60.0
# Of the machine and its load; wandb may rename these, so they are asked for where it has them.
_UNSENT = {"x_disable_meta": True, "x_disable_stats": True, "x_save_requirements": False}


class WandbTracker:
    """A run of a wandb project for each part, in one group; figures and settings are sent.

    `mode` None: WANDB_MODE, or online where an API key is at hand, else offline. Code, console,
    git state and facts about the machine stay here.
    """

    def __init__(
        self,
        folder: Path,
        *,
        project: str,
        group: str,
        entity: str | None,
        mode: Literal["online", "offline"] | None,
    ) -> None:
        self._folder, self._project, self._group, self._entity = folder, project, group, entity
        self._mode = mode
        self._run: Any = None

    def start(self, name: str, config: Mapping[str, Any], *, first: int) -> None:
        """Begin the part, or go on with it under the same id."""
        self._folder.mkdir(parents=True, exist_ok=True)
        named = self._mode or os.environ.get("WANDB_MODE")
        mode: Any = named or ("online" if wandb.login(prompt=False, verify=False) else "offline")
        unsent: Any = {key: _UNSENT[key] for key in _UNSENT.keys() & wandb.Settings.model_fields}
        self._run = wandb.init(
            project=self._project, entity=self._entity, group=self._group, name=name,
            id=f"{self._group}-{name}".replace("/", "-"), dir=str(self._folder), mode=mode,
            config=dict(config), resume="allow", reinit="create_new", save_code=False,
            settings=wandb.Settings(
                console="off", disable_code=True, disable_git=True, silent=True,
                init_timeout=SECONDS, login_timeout=SECONDS, **unsent,
            ),
        )  # fmt: skip

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Hand over the figures; wandb's own process sends them."""
        self._run.log(dict(metrics), step=step)

    def finish(self, status: str) -> None:
        """Wait for what is under way."""
        self._run.finish(exit_code=0 if status == "finished" else 1)
