"""What sWUGGY and sBLIMP share: ZeroSpeech 2021's `gold.csv` beside the recordings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from orality.errors import EvaluationError
from orality.evaluation.benchmarks.pairs import (
    BenchmarkPair,
    Row,
    audio_index,
    find_audio,
    read_rows,
)

Key = tuple[str, ...]


def gold_folder(path: Path, task: str, split: str) -> Path:
    """Where `gold.csv` lies: here, in the split's folder, or in `task/split` of a data set."""
    candidates = (path, path / split, path / task / split)
    for folder in candidates:
        if (folder / "gold.csv").is_file():
            return folder
    tried = ", ".join(str(folder / "gold.csv") for folder in candidates)
    raise EvaluationError(f"{path} holds no gold.csv for {task}; looked at {tried}")


def read_gold(
    folder: Path,
    *,
    columns: Sequence[str],
    key: Sequence[str],
    cluster: Sequence[str],
    group: Callable[[Row], str | None],
    recordings: bool = True,
) -> list[BenchmarkPair]:
    """Pair the rows of `gold.csv` that agree in the columns `key`, one correct with one not.

    Rows are paired by key, never by order. `group` sees the correct row. Raises EvaluationError,
    naming file and line, for a row without its counterpart, a second row of the same kind, a
    `correct` other than 0 or 1, or a missing recording; recordings that no row names are ignored.
    Without `recordings`, none is looked for, and paths are those of .wav files.
    """
    path = folder / "gold.csv"
    index = audio_index(folder) if recordings else {}

    def place(row: Row) -> Path:
        name = row["filename"]
        if recordings:
            return find_audio(index, name, row)
        return folder / f"{name.removesuffix('.wav')}.wav"

    sides: dict[Key, dict[str, Row]] = {}
    for row in read_rows(path, ("filename", *columns, "correct")):
        correct = row["correct"].removesuffix(".0")
        if correct not in {"0", "1"}:
            raise row.error(f"correct must be 0 or 1, got {row['correct']!r}")
        side = sides.setdefault(tuple(row[name] for name in key), {})
        if correct in side:
            named = ", ".join(f"{name} {row[name]!r}" for name in key)
            before = side[correct].line
            raise row.error(f"{named}, correct {correct} was given before, in line {before}")
        side[correct] = row
    pairs = []
    for names, side in sorted(sides.items(), key=lambda item: natural_order(item[0])):
        if len(side) == 1:
            (row,) = side.values()
            wanted = "incorrect" if "1" in side else "correct"
            raise row.error(f"{row['filename']!r} has no {wanted} counterpart")
        right, wrong = side["1"], side["0"]
        pairs.append(
            BenchmarkPair(
                id="/".join(names),
                positive=place(right),
                negative=place(wrong),
                group=group(right),
                cluster="/".join(right[name] for name in cluster),
            )
        )
    return pairs


def natural_order(names: Key) -> tuple[tuple[int, int, str], ...]:
    """Sort key that puts 2 before 10."""
    return tuple((0, int(n), "") if n.isdecimal() else (1, 0, n) for n in names)
