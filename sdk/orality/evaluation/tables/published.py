"""Figures that others have published: read from a file, shown beside ours, never tested.

```yaml
source: Lin et al., 2024, arXiv:2411.01834, Table 2
lower_is_better: [PPL]
rows:
  - {group: 1.3B, system: TWIST, values: {sBLIMP: 57.0, MMOS: [3.48, 0.07]}}
```
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

from pydantic import ConfigDict, Field, ValidationError, model_validator

from orality.errors import EvaluationError
from orality.untrusted.documents import read_json, read_yaml
from orality.untrusted.settings import Settings

Figure = tuple[float, float | None]  # as printed, and the half interval where one is printed


@dataclass(frozen=True, slots=True)
class PublishedRow:
    """A system's line. `values` by column label or metric id, in the scale the table prints."""

    system: str
    source: str
    values: Mapping[str, Figure]
    group: str = ""


@dataclass(frozen=True, slots=True)
class Published:
    """Rows in the order of the file; `lower_is_better` names columns."""

    rows: Sequence[PublishedRow] = ()
    lower_is_better: frozenset[str] = field(default_factory=frozenset)

    @property
    def sources(self) -> list[str]:
        """Every source once, in order."""
        return list(dict.fromkeys(row.source for row in self.rows))


class _Row(Settings):
    model_config = ConfigDict(allow_inf_nan=False)

    system: str = Field(min_length=1)
    group: str = ""
    source: str = ""
    values: dict[str, float | tuple[float, float]]


class _File(Settings):
    source: str = ""
    lower_is_better: frozenset[str] = frozenset()
    rows: list[_Row]

    @model_validator(mode="after")
    def _every_row_has_a_source(self) -> _File:
        mute = [row.system for row in self.rows if not (row.source or self.source).strip()]
        if mute:
            raise ValueError(f"{mute[0]} has no source; give the file or the row one")
        return self


def read_published(where: str | Path) -> Published:
    """Read a YAML or JSON file, or one that comes with the package by name (`align-slm`).

    EvaluationError names what is wrong: an unknown key, a value that is no number, no source.
    """
    path = _find(where)
    try:
        read = read_json if path.suffix == ".json" else read_yaml
        file = _File.model_validate(read(path, EvaluationError))
    except ValueError as error:
        raise EvaluationError(
            f"{path} cannot be read as published figures: {_say(error)}"
        ) from error
    rows = [
        PublishedRow(
            row.system,
            row.source or file.source,
            {name: v if isinstance(v, tuple) else (v, None) for name, v in row.values.items()},
            row.group,
        )
        for row in file.rows
    ]
    return Published(rows, file.lower_is_better)


def _find(where: str | Path) -> Path:
    shipped = Path(str(resources.files("orality") / "data" / "published"))
    named = shipped / f"{where}.yaml"
    if isinstance(where, str) and named.parent == shipped and named.is_file():
        return named
    if not Path(where).is_file():
        names = ", ".join(sorted(path.stem for path in shipped.glob("*.yaml"))) or "none"
        raise EvaluationError(f"there is no file {where} of published figures; shipped: {names}")
    return Path(where)


def _say(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        return f"{place}: {first['msg']}" if place else str(first["msg"])
    return str(error)
