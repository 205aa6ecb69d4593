from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from orality import StoreError
from orality.feedback import read_pairs

OWN = {"id": "a", "prompt_units": [1, 2], "chosen_units": [3], "rejected_units": [4, 5]}
PUSHED = {"id": "round-1/a", "prompt": [1, 2], "chosen": [3], "rejected": [4, 5]}


def written(folder: Path, name: str, *rows: dict[str, Any]) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(list(rows)), path)
    return folder


@pytest.mark.parametrize("row", [OWN, PUSHED])
@pytest.mark.parametrize("place", ["", "data/", "preferences/data/"])
@pytest.mark.parametrize("file", ["train-00000.parquet", "train-00000-of-00001-0a1b.parquet"])
def test_pairs_of_ones_own_and_pushed_ones_are_read(
    tmp_path: Path, row: dict[str, Any], place: str, file: str
) -> None:
    (pair,) = read_pairs(written(tmp_path, place + file, row), "train")
    assert (pair.id, pair.prompt_id) == (row["id"], row["id"])
    assert [units.ids.tolist() for units in (pair.prompt, pair.chosen, pair.rejected)] == [
        [1, 2], [3], [4, 5],
    ]  # fmt: skip
    assert pair.reference is None
    assert read_pairs(tmp_path, "dev") == []


def test_the_split_is_the_rows_own_or_the_files(tmp_path: Path) -> None:
    written(tmp_path, "dev-00000-of-00001-0a.parquet", PUSHED)
    written(tmp_path, "pandas.parquet", OWN | {"split": "train"}, OWN | {"id": "b", "split": "dev"})
    assert [pair.id for pair in read_pairs(tmp_path, "dev")] == ["b", "round-1/a"]
    assert [pair.id for pair in read_pairs(tmp_path, "train")] == ["a"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"prompt_units": "1 2"}, "column prompt_units holds string"),
        ({"prompt_units": [0.5]}, "column prompt_units"),
        ({"chosen_units": []}, "empty lists"),
        ({"chosen_units": [None, 1]}, "missing"),
        ({"rejected_units": [-1]}, "negative"),
        ({"rejected_units": None}, "missing"),
        ({"id": None}, "without an id"),
        ({"chosen_score": "good"}, "column chosen_score"),
    ],
)
def test_values_of_other_types_are_named(
    tmp_path: Path, changed: dict[str, Any], said: str
) -> None:
    with pytest.raises(StoreError, match=rf"x\.parquet.*{said}"):
        read_pairs(written(tmp_path, "x.parquet", OWN | changed))


def test_missing_columns_and_ids_that_come_twice_are_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="has no rejected_units"):
        read_pairs(written(tmp_path / "a", "x.parquet", {k: OWN[k] for k in list(OWN)[:3]}))
    with pytest.raises(StoreError, match="'a' twice"):
        read_pairs(written(tmp_path / "b", "x.parquet", OWN, OWN))
