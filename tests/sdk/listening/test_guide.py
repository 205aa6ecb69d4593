"""What the guides say works."""

from __future__ import annotations

import re
from pathlib import Path

import typer
from listening_fakes import speak

from orality.cli.listening_test import app

DOCS = Path(__file__).parents[3] / "docs"
GUIDE = (DOCS / "listening-tests.md").read_text()


def test_the_guide_s_example_makes_a_test(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(
        f"{p}{s}.wav" for p in ("p1", "p2") for s in ("", "-base", "-aligned")
    ):
        speak(tmp_path / name, number)
    (source,) = re.findall(r"```python\n(.*?)```", GUIDE, re.S)
    exec(source, {})
    assert capsys.readouterr().out == "2 6\n"  # four trials and two checks
    assert (tmp_path / "test" / "page" / "index.html").is_file()


def test_the_guide_names_every_option():
    for command in typer.main.get_command(app).commands.values():
        for parameter in command.params:
            for option in parameter.opts + parameter.secondary_opts:
                if option in {"--out", "--embed", "--level"}:
                    continue  # in an example, by its opposite, and plain
                assert not option.startswith("--") or f"{option}" in GUIDE, option
