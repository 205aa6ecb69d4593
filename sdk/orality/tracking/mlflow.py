"""MLflow: a server of one's own, or a database in the run folder."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

# MLflow's own defaults wait for minutes, and tell its makers that it is used.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

from mlflow import MlflowClient
from mlflow.entities import Metric, Param

_STATUS = {"finished": "FINISHED", "failed": "FAILED", "killed": "KILLED"}
_AT_ONCE, _LONGEST = 100, 500


class MlflowTracker:
    """A run of an MLflow experiment for each part.

    `uri` None: MLFLOW_TRACKING_URI where it is set, else a SQLite database in `folder`. `known`
    and `remember` keep the run's id of each part.
    """

    def __init__(
        self,
        folder: Path,
        *,
        experiment: str,
        group: str,
        uri: str | None,
        known: Callable[[str], str | None],
        remember: Callable[[str, str], object],
    ) -> None:
        self._folder, self._experiment, self._group = folder, experiment, group
        self._uri = uri or os.environ.get("MLFLOW_TRACKING_URI")
        self._known, self._remember = known, remember
        self._client: Any = None
        self._run = ""

    def start(self, name: str, config: Mapping[str, Any], *, first: int) -> None:
        """Begin the part, or go on with it."""
        if self._client is None:
            self._client = MlflowClient(self._uri or self._database())
        found = self._known(name)
        if found is not None:
            self._run = found
            self._client.update_run(found, status="RUNNING")
            return
        run = self._client.create_run(
            self._experiment_id(), run_name=f"{self._group}/{name}",
            tags={"orality.run": self._group, "orality.part": name},
        )  # fmt: skip
        self._run = run.info.run_id
        self._remember(name, self._run)
        params = [Param(key[-_LONGEST // 2 :], value[:_LONGEST]) for key, value in _flat(config)]
        for start in range(0, len(params), _AT_ONCE):
            self._client.log_batch(self._run, params=params[start : start + _AT_ONCE])

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Send the figures."""
        now = int(time.time() * 1000)
        rows = [Metric(_legal(key), float(value), now, step) for key, value in metrics.items()]
        self._client.log_batch(self._run, metrics=rows)

    def finish(self, status: str) -> None:
        """Say how the part ended."""
        self._client.set_terminated(self._run, status=_STATUS[status])

    def _database(self) -> str:
        self._folder.mkdir(parents=True, exist_ok=True)
        return f"sqlite:///{self._folder.resolve() / 'mlflow.db'}"

    def _experiment_id(self) -> str:
        found = self._client.get_experiment_by_name(self._experiment)
        if found is not None:
            return str(found.experiment_id)
        place = None if self._uri else (self._folder.resolve() / "artifacts").as_uri()
        return str(self._client.create_experiment(self._experiment, artifact_location=place))


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{_legal(str(key))}" if name else _legal(str(key)))
    elif isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value):
        for number, inner in enumerate(value, start=1):
            yield from _flat(inner, f"{name}.{number}")
    elif value is not None:
        yield name, str(value)


def _legal(name: str) -> str:
    """MLflow takes letters, digits and `_-. /` in names."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "_-. /") else "_" for c in name)
