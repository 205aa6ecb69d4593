from __future__ import annotations

import io

from rich.console import Console

from orality.cli.training_warnings import show_warnings, training_warnings
from orality.store.files import write_json


def test_warnings_of_all_trainings_are_shown_with_their_names(tmp_path):
    for name, warnings in (("round-1", ["the KL is 0.01 [nats]"]), ("round-2", [])):
        folder = tmp_path / name / "train"
        folder.mkdir(parents=True)
        write_json(folder / "result.json", {"steps": 1, "warnings": warnings})
    old = tmp_path / "baseline" / "train"
    old.mkdir(parents=True)
    write_json(old / "result.json", {"steps": 1})  # of before there were warnings
    assert training_warnings(tmp_path) == {"round-1": ["the KL is 0.01 [nats]"]}
    text = io.StringIO()
    show_warnings(Console(file=text, width=80), tmp_path)
    assert text.getvalue() == "round-1: the KL is 0.01 [nats]\n"
