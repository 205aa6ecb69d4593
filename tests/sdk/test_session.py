from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from orality import StoreError
from orality.checkpoints import note_checkpoint
from orality.progress import silent
from orality.session import Session
from orality.weights import file_sha256


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that the toy judge says it is built from."""
    file = tmp_path / "judge" / "model.safetensors"
    file.parent.mkdir()
    file.write_bytes(b"abc")
    monkeypatch.setattr("orality.testing.tones.VowelJudge", lambda: note_checkpoint(file.parent))
    return file


def build_the_judge(out: Path) -> dict[str, Any]:
    session = Session("toy", out, silent)
    with session.open():
        assert session.components.judge
    return session.run.manifest


def test_the_manifest_names_the_weights_of_what_was_built(weights: Path, tmp_path: Path) -> None:
    manifest = build_the_judge(tmp_path / "run")
    assert manifest["weights"] == {
        "judge": [
            {
                "file": "judge/model.safetensors",
                "bytes": 3,
                "sha256": file_sha256(weights),
                "hashed": "when built",
            }
        ]
    }
    assert build_the_judge(tmp_path / "run") == manifest


def test_a_run_is_not_continued_with_other_weights(weights: Path, tmp_path: Path) -> None:
    manifest = build_the_judge(tmp_path / "run")
    weights.write_bytes(b"abd")
    with pytest.raises(StoreError, match="begun with other weights of the judge"):
        build_the_judge(tmp_path / "run")
    weights.write_bytes(b"abc")
    assert build_the_judge(tmp_path / "run") == manifest


def test_what_is_built_outside_a_run_is_written_nowhere(weights: Path, tmp_path: Path) -> None:
    session = Session("toy", tmp_path / "run", silent)
    assert session.components.judge
    assert not (tmp_path / "run").exists()


def test_a_judge_is_given_as_many_requests_at_a_time_as_it_wants(tmp_path: Path) -> None:
    session = Session("toy", tmp_path / "run", silent)
    spec, config = session.stack.judge
    wanting = dataclasses.replace(spec, batch_size=lambda config: 7)
    session.stack = dataclasses.replace(session.stack, judge=(wanting, config))
    options = session._options(session.recipe.rounds[0], "reference")
    assert options.judge_batch == 7
