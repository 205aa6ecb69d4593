from __future__ import annotations

import inspect
from pathlib import Path

from orality.cli.push import push
from orality.sharing.preferences import _AUDIO, _COLUMNS

GUIDE = (Path(__file__).parents[3] / "docs" / "sharing.md").read_text()


def test_the_guide_names_every_option():
    for name in inspect.signature(push).parameters:
        assert name == "run" or f"--{name.replace('_', '-')}" in GUIDE


def test_the_guide_names_every_column():
    assert [name for name in (*_COLUMNS, *_AUDIO) if f"`{name}`" not in GUIDE] == []
