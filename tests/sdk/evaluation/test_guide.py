"""What the guide to statistics says is there and works."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

import orality.evaluation
from orality.evaluation import read_published

GUIDE = (Path(__file__).parents[3] / "docs" / "statistics.md").read_text()


def test_the_guide_s_example_runs(capsys):
    (source,) = re.findall(r"```python\n(.*?)```", GUIDE, re.S)
    exec(source, {})
    # by word .5, 1 and 1: two of the eight sign patterns reach the sum
    assert capsys.readouterr().out.startswith("0.25 [0.25, 0.03, 0.08]")


def test_the_functions_of_the_guide_are_public():
    names = re.findall(r"\| `(\w+)`(?:, `(\w+)`)? \|$", GUIDE, re.M)
    assert len(names) == 12
    for pair in names:
        for name in filter(None, pair):
            assert name in orality.evaluation.__all__


def test_the_guide_s_published_rows_can_be_read(tmp_path):
    (text,) = re.findall(r"```yaml\n(.*?)```", GUIDE, re.S)
    assert yaml.safe_load(text)["rows"]
    (tmp_path / "p.yaml").write_text(text)
    rows = read_published(tmp_path / "p.yaml").rows
    assert rows[1].values == {"MMOS": (3.73, 0.06)}
    assert rows[1].source == "the same, Table 3"
