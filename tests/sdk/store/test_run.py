from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orality import StoreError
from orality.store import Run


def row(file: str, digit: str) -> dict[str, Any]:
    return {"file": file, "bytes": 3, "sha256": digit * 64, "hashed": "when built"}


TINY = row("tiny/model.safetensors", "a")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = Run(tmp_path / "run")
    run.open(recipe="name: toy\n", fingerprint="0f", details={"seed": 1})
    return run


def test_weights_join_the_manifest(run: Run) -> None:
    before = run.manifest
    run.note_weights("slm", [TINY])
    run.note_weights("evaluation.judge", [])
    assert run.manifest == {**before, "weights": {"slm": [TINY], "evaluation.judge": []}}


def test_the_same_weights_may_come_again_from_another_place(run: Run) -> None:
    run.note_weights("slm", [TINY])
    written = run.manifest
    run.note_weights("slm", [{**TINY, "file": "moved/model.safetensors", "hashed": "when fetched"}])
    assert run.manifest == written


def test_two_files_with_the_same_bytes_are_no_change(run: Run) -> None:
    for _ in range(2):
        run.note_weights("slm", [TINY, {**TINY, "file": "tiny/copy.safetensors"}])


@pytest.mark.parametrize(
    "others", [[row("tiny/model.safetensors", "b")], [TINY, row("tiny/more.safetensors", "b")], []]
)
def test_other_weights_are_refused_and_the_manifest_stays(
    run: Run, others: list[dict[str, Any]]
) -> None:
    run.note_weights("slm", [TINY])
    with pytest.raises(
        StoreError, match=r"other weights of the slm: then tiny/model.safetensors \(aaaaaaaaaaaa\)"
    ):
        run.note_weights("slm", others)
    assert run.manifest["weights"] == {"slm": [TINY]}


def test_weights_that_were_not_known_before_are_added(run: Run) -> None:
    run.note_weights("slm", [])
    run.note_weights("slm", [TINY])
    assert run.manifest["weights"] == {"slm": [TINY]}
