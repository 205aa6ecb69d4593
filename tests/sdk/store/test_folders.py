from __future__ import annotations

from pathlib import Path

import pytest

from orality import CheckpointError
from orality.store.folders import newest_step, whole_folder, write_step


def write(folder: Path, step: int, text: str = "weights", *, keep: int = 2) -> Path:
    return write_step(folder, step, lambda made: (made / "state").write_text(text), keep=keep)


def test_a_crash_while_writing_leaves_what_was_there(tmp_path: Path) -> None:
    def replace(text: str, *, crash: bool) -> None:
        with whole_folder(tmp_path / "x") as partial:
            (partial / "file").write_text(text)
            if crash:
                raise KeyboardInterrupt

    replace("old", crash=False)
    with pytest.raises(KeyboardInterrupt):
        replace("new", crash=True)
    assert (tmp_path / "x" / "file").read_text() == "old"
    replace("new", crash=False)
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert (tmp_path / "x" / "file").read_text() == "new"


def test_only_the_newest_steps_are_kept(tmp_path: Path) -> None:
    for step in (1, 2, 30, 4):
        write(tmp_path, step)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000004", "step-00000030"]
    assert newest_step(tmp_path) == tmp_path / "step-00000030"


def test_a_step_written_again_is_replaced(tmp_path: Path) -> None:
    write(tmp_path, 1, "old")
    path = write(tmp_path, 1, "new")
    assert newest_step(tmp_path) == path
    assert (path / "state").read_text() == "new"


def test_what_a_killed_process_left_goes_with_the_next_step(tmp_path: Path) -> None:
    leftover = tmp_path / ".step-00000007.partial"
    leftover.mkdir()
    (leftover / "state").write_text("wei")
    assert newest_step(tmp_path) is None
    write(tmp_path, 8)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000008"]


@pytest.mark.parametrize("damage", ["truncate", "flip", "no file", "no marker", "torn marker"])
def test_a_damaged_step_is_passed_over(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, 1)
    newest = write(tmp_path, 2)
    state, marker = newest / "state", newest / "COMPLETE"
    if damage == "truncate":
        state.write_text("weight")
    elif damage == "flip":
        state.write_text("heights")
    elif damage == "no file":
        state.unlink()
    elif damage == "no marker":
        marker.unlink()
    else:
        marker.write_text(marker.read_text()[:20])
    assert newest_step(tmp_path) == tmp_path / "step-00000001"
    assert "step-00000002 is damaged" in caplog.text


def test_damaged_steps_alone_are_an_error_rather_than_a_new_start(tmp_path: Path) -> None:
    for step in (1, 2):
        (write(tmp_path, step) / "state").unlink()
    with pytest.raises(CheckpointError, match="holds 2 checkpoints.* remove them to start over"):
        newest_step(tmp_path)


def test_nothing_written_is_nothing_found(tmp_path: Path) -> None:
    assert newest_step(tmp_path / "none") is None
