from __future__ import annotations

from pathlib import Path

from orality import fetch
from orality.checkpoints import find_checkpoint, note_checkpoint, noted_checkpoints


def test_what_is_resolved_meanwhile_is_noted_once_and_in_order(tmp_path: Path) -> None:
    first, second, third = (tmp_path / name for name in "abc")
    for folder in (first, second):
        folder.mkdir()
    third.touch()
    with noted_checkpoints() as noted:
        assert fetch(str(second)) == second
        assert find_checkpoint(str(first), shipped=tmp_path, wants="a folder") == first
        assert note_checkpoint(third) == third
        fetch(str(second))
    assert noted == [second, first, third]


def test_a_shipped_checkpoint_is_noted(tmp_path: Path) -> None:
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "config.json").write_text("{}")
    with noted_checkpoints() as noted:
        find_checkpoint("tiny", shipped=tmp_path, wants="'tiny'")
        find_checkpoint("owner/model", shipped=tmp_path, wants="'tiny'")
    assert noted == [tmp_path / "tiny"]


def test_nothing_is_noted_before_or_after(tmp_path: Path) -> None:
    note_checkpoint(tmp_path)
    with noted_checkpoints() as noted:
        pass
    note_checkpoint(tmp_path)
    assert noted == []


def test_a_component_that_builds_another_hears_of_its_own_only(tmp_path: Path) -> None:
    with noted_checkpoints() as outer:
        with noted_checkpoints() as inner:
            note_checkpoint(tmp_path / "inner")
        note_checkpoint(tmp_path / "outer")
    assert (inner, outer) == ([tmp_path / "inner"], [tmp_path / "outer"])
