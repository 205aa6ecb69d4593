from __future__ import annotations

import errno
import fcntl
import os

import pytest

from orality import StoreError
from orality.store import Run, lock_folder, lock_if_free


def test_a_second_process_is_refused(tmp_path):
    with (
        lock_folder(tmp_path),
        pytest.raises(StoreError, match="another process"),
        lock_folder(tmp_path),
    ):
        pass


def test_a_file_system_without_locks_is_used_with_a_warning(tmp_path, monkeypatch, caplog):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with lock_folder(tmp_path):
        assert (tmp_path / ".lock").exists()
    assert "without locks" in caplog.text


@pytest.mark.parametrize("place", ["events.jsonl", "round-1/audio", ".lock", "a/b/c"])
@pytest.mark.parametrize("kind", ["file", "folder", "nothing"])
def test_a_link_that_leads_out_is_refused_before_anything_is_written(tmp_path, place, kind):
    target = tmp_path / "outside"
    if kind == "file":
        target.write_text("mine")
    elif kind == "folder":
        target.mkdir()
        (target / "x").write_text("mine")
    run = tmp_path / "run"
    (run / place).parent.mkdir(parents=True)
    os.symlink(target, run / place)
    with pytest.raises(StoreError, match="leads out of"), Run(run).lock():
        pass
    assert not target.exists() or [*target.rglob("*")] in ([], [target / "x"])


def test_links_inside_the_folder_and_to_the_folder_are_allowed(tmp_path):
    run = tmp_path / "real"
    run.mkdir()
    (run / "a").write_text("a")
    os.symlink(run / "a", run / "b")
    os.symlink(run, tmp_path / "link")
    with lock_folder(tmp_path / "link"):
        pass


@pytest.mark.parametrize("kill", [1, 2])
def test_a_run_that_was_killed_at_its_first_files_goes_on(tmp_path, kill):
    def begin():
        Run(tmp_path / "run").open(recipe="name: x\n", fingerprint="f", details={})

    child = os.fork()
    if child == 0:
        moved, move = 0, os.replace

        def replace(*paths):
            nonlocal moved
            moved += 1
            if moved == kill:
                os._exit(9)
            move(*paths)

        os.replace = replace
        begin()
        os._exit(0)
    os.waitpid(child, 0)
    begin()
    names = sorted(path.name for path in (tmp_path / "run").iterdir())
    assert names == ["manifest.json", "recipe.yaml"]
    assert (tmp_path / "run" / "recipe.yaml").read_text() == "name: x\n"


def test_what_a_killed_process_was_writing_anywhere_goes_when_the_folder_is_held(tmp_path):
    torn = tmp_path / "figures" / ".curve.pdf.31b67d6e"
    kept = [tmp_path / "figures" / name for name in (".notes.document", "curve.pdf", ".31b67d6e")]
    torn.parent.mkdir()
    for file in (torn, *kept):
        file.write_text("x")
    with lock_folder(tmp_path):
        assert not torn.exists()
    assert all(file.exists() for file in kept)


def test_what_may_be_done_beside_others_leaves_their_unfinished_files(tmp_path):
    torn = tmp_path / ".a.json.0123abcd"
    with lock_folder(tmp_path):
        torn.write_text("x")
        with lock_if_free(tmp_path):
            assert torn.exists()
    with lock_if_free(tmp_path):
        assert not torn.exists()
