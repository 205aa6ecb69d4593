"""What an evaluation found: typed records, `results.json` and `items.jsonl`. JSON is the truth."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from orality.errors import EvaluationError
from orality.evaluation.frontier.results import Frontier, read_frontier
from orality.evaluation.statistics.intervals import Interval
from orality.store.files import atomic_write, write_json
from orality.untrusted.documents import read_json

VERSION = 1
_LOWER_IS_BETTER = (
    "auto-bleu", "auto-bleu2", "self-bleu", "self-bleu2", "vert", "auc", "ppl", "wer", "cer",
    "resynthesis-wer", "resynthesis-cer", "abx", "min-mae", "empty",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class System:
    """A model under test; `adapter`: where its weights lie, None for the pre-trained one.

    `sha256` names those weights, where it is known.
    """

    name: str
    description: str = ""
    adapter: str | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """One observation of one metric; `value` is None where it failed, `details` say why.

    `cluster`: items that share it are not independent; across systems it says what to compare.
    """

    id: str
    system: str
    metric: str
    value: float | None
    cluster: str
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure of one system. Accuracies, auto-BLEU and shares are in [0, 1], not percent.

    `metric` carries its variant and models; `group` is a part of the benchmark, None the whole.
    `n` items were counted, `n_failed` could not be, `n_ties` of the counted were undecided.
    `seeds`: where a system was trained several times, each seed's value; `value` is then their
    mean and `sd` their standard deviation (n - 1).
    """

    system: str
    metric: str
    benchmark: str
    group: str | None
    value: float
    n: int
    n_failed: int
    n_ties: int
    ci: Interval | None
    sd: float | None = None
    seeds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Comparison:
    """`difference` = value of system `a` - value of system `b`, on the clusters both have (`n`).

    `n_unpaired`: items (or, where items have no counterpart, clusters) that only one of them has.

    `p_holm`: corrected over all metrics and systems compared in the same way (with the baseline,
    or each with its predecessor). `p_holm_column`: corrected over those systems within this metric
    and group alone; None in files written before there was one.
    """

    metric: str
    benchmark: str
    group: str | None
    a: str
    b: str
    difference: float
    ci: Interval | None
    p_value: float
    p_holm: float
    test: str
    n: int
    n_unpaired: int = 0
    p_holm_column: float | None = None


@dataclass(frozen=True, slots=True)
class Results:
    """Everything that goes into `results.json`.

    `provenance`: the versions, commit and command that made it. `frontier`: systems across
    temperatures, None where one temperature was sampled.
    """

    systems: Sequence[System]
    results: Sequence[Metric]
    comparisons: Sequence[Comparison] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    recipe: str = ""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    frontier: Frontier | None = None

    @property
    def baseline(self) -> str:
        """The system all others are tested against; the first where none is set."""
        first = self.systems[0].name if self.systems else ""
        return str(self.settings.get("baseline", first))

    def find(self, system: str, metric: str, group: str | None = None) -> Metric | None:
        """A system's figure, or None if it was not measured."""
        for result in self.results:
            if (result.system, result.metric, result.group) == (system, metric, group):
                return result
        return None

    def compare(self, metric: str, a: str, b: str, group: str | None = None) -> Comparison | None:
        """The comparison of `a` with `b`, or None if it was not made."""
        for item in self.comparisons:
            if (item.metric, item.group, item.a, item.b) == (metric, group, a, b):
                return item
        return None

    def to_dict(self) -> dict[str, Any]:
        """Plain data, exactly as `results.json` holds it: lists, no tuples."""
        found = {
            "version": VERSION,
            "recipe": self.recipe,
            "systems": [asdict(item) for item in self.systems],
            "results": [asdict(item) for item in self.results],
            "comparisons": [asdict(item) for item in self.comparisons],
            "settings": dict(self.settings),
            "provenance": dict(self.provenance),
            "frontier": None if self.frontier is None else asdict(self.frontier),
        }
        plain: dict[str, Any] = json.loads(json.dumps(found))
        return plain


_Stored = TypeVar("_Stored", Metric, Comparison)


def higher_is_better(metric: str) -> bool:
    """The direction of a metric, by the first part of its id."""
    return metric.split("/")[0] not in _LOWER_IS_BETTER


def write_results(path: Path, results: Results) -> None:
    """Write `results.json`; a crash leaves the old file or the new one."""
    write_json(path, results.to_dict())


def read_results(path: Path) -> Results:
    """Read `results.json`; EvaluationError if it is damaged or of another version."""
    data = read_json(path, EvaluationError)
    try:
        if data["version"] != VERSION:
            raise EvaluationError(
                f"{path} has version {data['version']}, this orality reads version {VERSION}"
            )
        return Results(
            systems=[System(**item) for item in data["systems"]],
            results=[_typed(Metric, item) for item in data["results"]],
            comparisons=[_typed(Comparison, item) for item in data["comparisons"]],
            settings=data["settings"],
            recipe=data["recipe"],
            provenance=data.get("provenance", {}),
            frontier=read_frontier(data.get("frontier")),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EvaluationError(f"{path} cannot be read as results: {error}") from error


def write_items(path: Path, items: Sequence[Item]) -> None:
    """Write `items.jsonl`, one line per item and metric."""
    lines = [json.dumps(asdict(item), ensure_ascii=False, allow_nan=False) for item in items]
    data = "".join(line + "\n" for line in lines).encode()
    atomic_write(path, lambda file: file.write(data))


def read_items(path: Path) -> list[Item]:
    """Read `items.jsonl`; EvaluationError names the damaged line."""
    items = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise EvaluationError(f"{path} cannot be read: {error}") from error
    for number, line in enumerate(lines, start=1):
        try:
            items.append(Item(**json.loads(line)))
        except (ValueError, TypeError, RecursionError) as error:
            raise EvaluationError(f"{path}, line {number} is damaged: {error}") from error
    return items


def _typed(kind: type[_Stored], item: Mapping[str, Any]) -> _Stored:
    made = kind(**_with_interval(item))
    for name in ("value", "difference", "p_value"):
        number = getattr(made, name, None)
        if number is not None and (isinstance(number, bool) or not isinstance(number, int | float)):
            raise TypeError(f"{name} is {number!r}, wanted a number")
    return made


def _with_interval(item: Mapping[str, Any]) -> dict[str, Any]:
    for name in ("value", "n", "n_failed", "n_ties", "sd", "difference", "p_value"):
        if not isinstance(item.get(name), int | float | None):
            raise TypeError(f"{name} is {item[name]!r:.40}, wanted a number")
    interval = item["ci"]
    return {**item, "ci": None if interval is None else Interval(**interval)}
