"""Puts the fakes and models that several tests share where they can be imported from."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

# In importlib mode tests see only installed packages; their fakes lie beside them.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def own_surroundings(tmp_path, monkeypatch):
    """A cache of the test's own, a key, and nothing of the user's."""
    from fake_servers import KEY

    monkeypatch.setenv("ORALITY_CACHE", str(tmp_path / "orality-cache"))
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setenv("JUDGE_KEY", KEY)
    for name in ("ANTHROPIC_BASE_URL", "ANTHROPIC_AUTH_TOKEN", "ORALITY_LOCAL_ONLY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server(own_surroundings):
    """A loopback server that answers until the test is over."""
    from fake_servers import Server

    with Server() as running:
        yield running
