"""What a recipe's section `tracking` may hold: a tracker by name, and where it tracks to.

No keys or passwords: trackers find those in the environment, or where their own login put them.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Literal, get_args
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from orality.untrusted.settings import Settings


class _TrackerOptions(Settings):
    @property
    def is_local(self) -> bool:
        """Whether all figures stay on this machine."""
        return True

    @property
    def module(self) -> str | None:
        """The package it needs, which is also the name of orality's extra."""
        return None


class JsonlOptions(_TrackerOptions):
    """Files of JSON lines in the run folder; always on."""

    name: Literal["jsonl"]


class TensorBoardOptions(_TrackerOptions):
    """Event files."""

    name: Literal["tensorboard"]
    folder: Path | None = None
    """Where the event files go, in a folder for each run; None: into the run folder."""

    @property
    def module(self) -> str | None:
        """tensorboard."""
        return "tensorboard"


class TrackioOptions(_TrackerOptions):
    """trackio's dashboard."""

    name: Literal["trackio"]
    project: str | None = Field(None, pattern=r"^[\w.-]+$")
    """None: the recipe's name."""
    space: str | None = Field(None, pattern=r"^[\w./-]+$")
    """A Space of the Hub (made as a private one); None: this machine."""

    @property
    def is_local(self) -> bool:
        """Without a Space, or a server that the environment names."""
        elsewhere = ("TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL")
        return self.space is None and not any(map(os.environ.get, elsewhere))

    @property
    def module(self) -> str | None:
        """trackio."""
        return "trackio"


class WandbOptions(_TrackerOptions):
    """Weights & Biases."""

    name: Literal["wandb"]
    project: str | None = None
    """None: the recipe's name."""
    entity: str | None = None
    mode: Literal["online", "offline"] | None = None
    """None: WANDB_MODE where it is set; else online where an API key is at hand, else offline."""

    @property
    def is_local(self) -> bool:
        """Offline alone."""
        return (self.mode or os.environ.get("WANDB_MODE")) in {"offline", "disabled"}

    @property
    def module(self) -> str | None:
        """wandb."""
        return "wandb"


class MlflowOptions(_TrackerOptions):
    """MLflow."""

    name: Literal["mlflow"]
    experiment: str | None = None
    """None: the recipe's name."""
    tracking_uri: str | None = None
    """None: MLFLOW_TRACKING_URI where it is set, else a SQLite database in the run folder."""

    @property
    def is_local(self) -> bool:
        """A file or a SQLite database."""
        uri = self.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:"
        # Without a scheme it is a folder, or the name of a service that is not on this machine.
        named = re.match(r"(databricks|uc)(-uc)?($|:)", uri)
        return named is None and urlsplit(uri).scheme in {"", "file", "sqlite"}

    @property
    def module(self) -> str | None:
        """mlflow."""
        return "mlflow"

    @field_validator("tracking_uri")
    @classmethod
    def _holds_no_password(cls, uri: str | None) -> str | None:
        if uri is not None and "@" in urlsplit(uri).netloc:
            raise ValueError(
                "no user or password belongs in an address; MLflow reads "
                "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
            )
        return uri


TrackerOptions = Annotated[
    JsonlOptions | TensorBoardOptions | TrackioOptions | WandbOptions | MlflowOptions,
    Field(discriminator="name"),
]
TRACKERS: tuple[str, ...] = tuple(
    get_args(kind.model_fields["name"].annotation)[0]
    for kind in (JsonlOptions, TensorBoardOptions, TrackioOptions, WandbOptions, MlflowOptions)
)
