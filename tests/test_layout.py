from __future__ import annotations

import ast
import importlib
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PUBLIC_MODULES = {
    "orality", "orality.checkpoints", "orality.judging", "orality.weights",
    "orality.pretraining.stories", "orality.audio.silence", "orality.audio.ctc",
    "orality.models.cpu_linears", "orality.untrusted.documents", "orality.text.scripts",
    "orality.text.joint_text",
}  # fmt: skip
PLUGINS = sorted(path.parent for path in ROOT.glob("plugins/*/*/pyproject.toml"))


def test_folders_that_are_no_packages_have_no_init():
    folders = [ROOT / "sdk", ROOT / "plugins", *(ROOT / "plugins").iterdir()]
    assert [str(folder) for folder in folders if (folder / "__init__.py").exists()] == []


def test_there_are_plugins_of_every_kind():
    assert {path.parent.name for path in PLUGINS} == {
        "asr", "judges", "slms", "tokenizers", "vocoders",
    }  # fmt: skip


@pytest.mark.parametrize("folder", PLUGINS, ids=lambda path: path.name)
def test_every_plugin_is_a_distribution_that_requires_this_api(folder):
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert "orality>=0.1,<0.2" in project["dependencies"]
    (module,) = project["entry-points"]["orality"].values()
    assert (folder / "src" / module / "__init__.py").exists()
    assert (folder / "src" / module / "py.typed").exists()
    assert (folder / "README.md").exists()
    assert f"-e {folder.relative_to(ROOT)}" in (ROOT / "requirements.txt").read_text()


@pytest.mark.parametrize("folder", PLUGINS, ids=lambda path: path.name)
def test_plugins_import_only_public_names(folder):
    """What the public modules list in `__all__` is the API."""
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "orality":
                assert node.module in PUBLIC_MODULES, path
                public = importlib.import_module(node.module).__all__
                assert {alias.name for alias in node.names} <= set(public), path


def test_the_core_never_imports_a_plugin():
    names = [folder.name for plugin in PLUGINS for folder in (plugin / "src").iterdir()]
    for path in (ROOT / "sdk").rglob("*.py"):
        text = path.read_text()
        assert not [name for name in names if f"import {name}" in text or f"from {name}" in text]


def test_no_module_is_longer_than_three_hundred_lines():
    long = {
        str(path.relative_to(ROOT)): lines
        for folder in ("sdk", "plugins")
        for path in (ROOT / folder).rglob("*.py")
        if (lines := len(path.read_text().splitlines())) > 300
    }
    assert long == {}


def test_the_embedded_checkpoints_stay_small():
    files = [path for path in (ROOT / "plugins").rglob("*.safetensors") if "tiny" in path.parts]
    assert 0 < sum(path.stat().st_size for path in files) <= 40 * 2**20


def test_tracked_files_hold_no_pickles():
    done = subprocess.run(
        ["git", "ls-files", "sdk", "plugins"], cwd=ROOT, capture_output=True, text=True
    )
    assert [name for name in done.stdout.split() if name.endswith((".pt", ".pkl", ".bin"))] == []
