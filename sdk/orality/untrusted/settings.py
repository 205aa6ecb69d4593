"""The base of all settings that are read from files, commands and calls."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator


class Settings(BaseModel):
    """Settings that never change; unknown keys are errors, and paths may be given as `Path`.

    A message about a wrong value never repeats it, since it may be a secret.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _paths_are_text(cls, given: Any) -> Any:
        return _as_text(given)


def _as_text(value: Any) -> Any:
    """Every `Path` in plain data as a string, which YAML and JSON can hold."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        return {key: _as_text(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_as_text, value)) if type(value) in (list, tuple) else value
    return value
