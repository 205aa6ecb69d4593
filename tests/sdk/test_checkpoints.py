from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from orality import CheckpointError, UnitSpec
from orality.checkpoints import (
    TWIST_UNITS,
    codebook_size,
    find_checkpoint,
    published_units,
    read_json,
    read_unit_spec,
)

WANTS = "'tiny', a folder with config.json"


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A plugin with one checkpoint of its own; the working folder is another, empty one."""
    tiny = tmp_path / "plugin" / "tiny"
    tiny.mkdir(parents=True)
    (tiny / "config.json").write_text("{}")
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    return tiny.parent


def find(checkpoint: str | Path, shipped: Path, *files: str) -> Path | None:
    return find_checkpoint(str(checkpoint), shipped=shipped, wants=WANTS, files=files)


def test_a_shipped_checkpoint_is_found_by_its_bare_name(shipped: Path) -> None:
    Path("tiny").mkdir()
    assert find("tiny", shipped) == shipped / "tiny"
    assert find("./tiny", shipped) == Path("tiny")


def test_a_folder_beside_the_plugin_without_config_is_no_checkpoint(shipped: Path) -> None:
    (shipped / "__pycache__").mkdir()
    assert find("__pycache__", shipped) is None


def test_no_name_leads_out_of_the_plugin(shipped: Path) -> None:
    (shipped.parent / "config.json").write_text("{}")
    with pytest.raises(CheckpointError, match="is no folder"):
        find("../nowhere", shipped)
    assert find("..", shipped) == Path("..")  # of the working folder, as any path


def test_a_folder_is_found_by_its_path_and_by_its_home(
    shipped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = shipped.parent / "home"
    (home / "model").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    assert find("~/model", shipped) == home / "model"
    assert find(home / "model", shipped) == home / "model"


@pytest.mark.parametrize(
    "name",
    ["twist-350m", "owner/model", "hub:owner/model@0123abc", "https://example.org/a.zip#sha256=00"],
)
def test_a_name_that_is_no_path_is_left_to_fetch(shipped: Path, name: str) -> None:
    assert find(name, shipped) is None


@pytest.mark.parametrize("path", ["/no/such/folder", "./model", "runs/large/model"])
def test_a_path_that_leads_nowhere_says_what_is_wanted(shipped: Path, path: str) -> None:
    with pytest.raises(
        CheckpointError,
        match=f"^{path} is no folder; `checkpoint` wants {WANTS}, or a name that orality.fetch",
    ):
        find(path, shipped)


def test_a_single_file_counts_only_where_the_plugin_reads_such_files(shipped: Path) -> None:
    Path("model.pt").touch()
    with pytest.raises(CheckpointError, match="model.pt is no folder"):
        find("model.pt", shipped)
    assert find("model.pt", shipped, ".pt") == Path("model.pt")
    with pytest.raises(CheckpointError, match="other.pt does not exist"):
        find("other.pt", shipped, ".pt")
    assert find("other", shipped, ".pt") is None


def test_an_object_comes_back_from_json(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"größe": 3}', encoding="utf-8")
    assert read_json(tmp_path / "config.json") == {"größe": 3}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "config.json cannot be read: No such file"),
        (b"{", "config.json cannot be read as JSON"),
        (b"\xff", "config.json cannot be read as UTF-8"),
        (b"[1]", "config.json holds a list, not an object"),
    ],
)
def test_what_is_no_json_object_is_named(tmp_path: Path, content: bytes, problem: str) -> None:
    if content is not None:
        (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=problem):
        read_json(tmp_path / "config.json")


def test_units_come_back_as_stated(tmp_path: Path) -> None:
    stated = {"codebook": "mine/km50", "vocab_size": 50, "frame_rate": 25.0, "deduplicated": False}
    (tmp_path / "units.json").write_text(json.dumps(stated))
    wanted = UnitSpec("mine/km50", 50, 25.0, deduplicated=False)
    assert read_unit_spec(tmp_path) == read_unit_spec(tmp_path, "mine/km50") == wanted
    with pytest.raises(CheckpointError, match="is over 'mine/km50', not 'theirs' as configured"):
        read_unit_spec(tmp_path, "theirs")


@pytest.mark.parametrize("stated", ['{"codebook": "mine"}', '{"units": 50}'])
def test_a_file_that_describes_no_units_is_named(tmp_path: Path, stated: str) -> None:
    (tmp_path / "units.json").write_text(stated)
    with pytest.raises(CheckpointError, match=r"units.json is no unit description"):
        read_unit_spec(tmp_path)


def test_a_folder_without_units_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"units.json cannot be read"):
        read_unit_spec(tmp_path)


def test_a_codebook_s_name_may_tell_its_size() -> None:
    assert codebook_size("mhubert-base-25hz/l11/km500") == 500
    assert codebook_size("km500/pruned") is None


def test_published_units_are_twist_s_unless_a_codebook_is_configured() -> None:
    assert published_units() == TWIST_UNITS
    assert published_units("hubert/l6/km200") == UnitSpec("hubert/l6/km200", 200, 25.0)
    assert published_units("nameless") is None


def test_importing_it_is_light() -> None:
    code = (
        "import orality.checkpoints, sys; "
        "heavy = {'torch', 'transformers', 'numpy', 'pyarrow'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
