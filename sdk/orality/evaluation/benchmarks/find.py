"""From a benchmark's name or folder to its pairs, whatever the layout."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal, get_args

from orality.errors import EvaluationError
from orality.evaluation.benchmarks.pairs import BenchmarkPair, read_pairs, read_rows
from orality.evaluation.benchmarks.salmon import PARTS, read_salmon
from orality.evaluation.benchmarks.sblimp import read_sblimp
from orality.evaluation.benchmarks.storycloze import read_storycloze
from orality.evaluation.benchmarks.swuggy import read_swuggy
from orality.evaluation.likelihood.accuracy import digest_of_pair
from orality.evaluation.likelihood.encoded import Encoded

Kind = Literal["swuggy", "sblimp", "storycloze", "salmon", "pairs"]
SHIPPED_PREFIX = "stories/"


@dataclass(frozen=True, slots=True)
class BenchmarkSource:
    """Where a benchmark lies and how its accuracies are summed up.

    `kind` decides the reader and the groups reported: `swuggy` adds in-vocabulary accuracy.
    `label`: how results name the data (a shipped name, or the path).
    """

    kind: Kind
    path: Path
    split: str = "dev"
    label: str = ""

    def read(self) -> list[BenchmarkPair]:
        """The benchmark's pairs, in an order that does not depend on the file system."""
        if (self.path / "pairs.csv").is_file():
            return read_pairs(self.path)
        match self.kind:
            case "swuggy":
                return read_swuggy(self.path, self.split)
            case "sblimp":
                return read_sblimp(self.path, self.split)
            case "storycloze":
                return read_storycloze(self.path)
            case "salmon":
                return read_salmon(self.path)
            case "pairs":
                return read_pairs(self.path)


def find_benchmark(
    where: str | Path, *, kind: Kind | None = None, name: str = "", split: str = "dev"
) -> BenchmarkSource:
    """A benchmark by shipped name (`stories/swuggy`) or folder.

    Without `kind`, the column's `name` tells it (sWUGGY, sBLIMP, T-StoryCloze, SALMon), or else the
    layout does. Raises EvaluationError when the folder is missing or looks like no benchmark.
    """
    if kind is not None and kind not in get_args(Kind):
        raise EvaluationError(
            f"there is no kind of benchmark {kind!r}; choose from {', '.join(get_args(Kind))}"
        )
    label = str(where)
    shipped = isinstance(where, str) and where.startswith(SHIPPED_PREFIX)
    path = shipped_benchmark(label) if shipped else Path(where)
    if not path.is_dir():
        raise EvaluationError(f"there is no benchmark folder {path}")
    found = kind or (_kind_by_name(label) if shipped else None) or _kind_by_name(name)
    return BenchmarkSource(found or _kind_by_layout(path, split), path, split, label)


def shipped_benchmark(name: str) -> Path:
    """The folder of a benchmark that comes with the package, such as `stories/swuggy`."""
    root = Path(str(resources.files("orality") / "data" / "benchmarks"))
    path = root / name.removeprefix(SHIPPED_PREFIX)
    names = sorted(item.name for item in root.iterdir() if item.is_dir()) if root.is_dir() else []
    if path.name not in names or path.parent != root:
        offered = ", ".join(SHIPPED_PREFIX + item for item in names) or "none"
        raise EvaluationError(f"no benchmark {name!r} comes with orality; shipped: {offered}")
    return path


def choose(pairs: Sequence[BenchmarkPair], limit: int | None) -> list[BenchmarkPair]:
    """At most `limit` pairs, drawn by the hash of their cluster, so not by type or alphabet.

    A larger limit only adds pairs, and a cluster's voices stay together as far as the limit lets.
    """
    if limit is None or limit >= len(pairs):
        return list(pairs)
    if limit < 1:
        raise EvaluationError(f"a limit of {limit} pairs leaves nothing to measure")

    def place(pair: BenchmarkPair) -> tuple[str, str]:
        return hashlib.sha256(pair.cluster.encode()).hexdigest(), pair.id

    kept = {pair.id for pair in sorted(pairs, key=place)[:limit]}
    return [pair for pair in pairs if pair.id in kept]


def describe(
    source: BenchmarkSource, pairs: Sequence[BenchmarkPair], encoded: Mapping[Path, Encoded]
) -> dict[str, Any]:
    """What results say about a benchmark: its data by names and by what was heard in them."""
    contents = [[pair.id, digest_of_pair(pair, encoded)] for pair in pairs]
    listed = [[p.id, p.positive.name, p.negative.name, p.group, p.cluster] for p in pairs]
    return {
        "kind": source.kind,
        "source": source.label or str(source.path),
        "split": source.split,
        "pairs": len(pairs),
        "clusters": len({p.cluster for p in pairs}),
        "sha256": hashlib.sha256(json.dumps(listed).encode()).hexdigest(),
        "units_sha256": hashlib.sha256(json.dumps(contents).encode()).hexdigest(),
    }


def _kind_by_name(name: str) -> Kind | None:
    letters = "".join(c for c in name.rsplit("/", 1)[-1].lower() if c.isalpha())
    kinds: tuple[Kind, ...] = ("swuggy", "sblimp", "storycloze", "salmon")
    for kind in kinds:
        if kind in letters:
            return kind
    return None


def _kind_by_layout(path: Path, split: str) -> Kind:
    if (path / "pairs.csv").is_file():
        return "pairs"
    for gold in (path / "gold.csv", path / split / "gold.csv"):
        if gold.is_file():
            columns = next(read_rows(gold, ("filename", "correct"))).values
            return "sblimp" if "subtype" in columns else "swuggy"
    if path.name in PARTS or any((path / part).is_dir() for part in PARTS):
        return "salmon"
    if any("correct" in item.stem.rsplit("_", 1)[-1] for item in path.iterdir()):
        return "storycloze"
    raise EvaluationError(
        f"{path} looks like no benchmark: wanted pairs.csv, gold.csv, or StoryCloze or "
        "SALMon recordings; a whole ZeroSpeech data set needs its kind (swuggy or sblimp)"
    )
