from __future__ import annotations

import re
from pathlib import Path

from orality.tracking import TRACKERS, options

GUIDE = (Path(__file__).parents[3] / "docs" / "tracking.md").read_text()
KINDS = [kind for kind in vars(options).values() if getattr(kind, "model_fields", None)]


def test_the_guide_names_every_tracker_and_setting():
    assert len(KINDS) == len(TRACKERS)
    for name in TRACKERS:
        assert f"| `{name}` |" in GUIDE
    for kind in KINDS:
        assert [
            name for name in kind.model_fields if name != "name" and f"`{name}`" not in GUIDE
        ] == []


def test_the_guide_s_tracker_follows_a_training(tmp_path, monkeypatch, capsys):
    (source,) = re.findall(r"```python\n(.*?)```", GUIDE, re.S)
    monkeypatch.chdir(tmp_path)
    exec(source, {})
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "train from step 1, seed 1"
    assert re.fullmatch(r"step 1: loss 0\.\d{3}", told[1])
    assert told[-1] == "finished"
