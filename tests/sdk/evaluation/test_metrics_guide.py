"""What docs/evaluation.md shows works, and it names what there is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import yaml

from orality import evaluation
from orality.evaluation.benchmarks.find import Kind
from orality.evaluation.continuations.choices import Choice
from orality.recipe.sections import EvaluationOptions

GUIDE = (Path(__file__).parents[3] / "docs" / "evaluation.md").read_text()


def test_the_example_runs(capsys):
    (source,) = re.findall(r"```python\n(.*?)```", GUIDE, re.S)
    exec(source, {})
    assert capsys.readouterr().out.splitlines() == [
        "[0.8, 0.82, 0.8]", "0.544", "token-mean 3.21 2 1", "exp-mean 4.06 2 1",
        "mean-exp 5.09 2 1", "median-exp 5.09 2 1", "0.333 orality-english", "4750.0", "0.5",
    ]  # fmt: skip


def test_the_sections_of_recipes_are_read():
    found = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", GUIDE, re.S)]
    assert len(found) == 3
    for section in found:
        EvaluationOptions.model_validate(section["evaluation"])


def test_every_metric_setting_and_benchmark_is_named():
    for choice in get_args(get_args(Choice)[0]):
        (name,) = get_args(choice.model_fields["name"].annotation)
        (row,) = re.findall(rf"^\| `{name}` \|.*$", GUIDE, re.M)
        for setting in choice.model_fields:
            assert setting == "name" or f"`{setting}`" in row
    for kind in get_args(Kind):
        assert f"| `{kind}` |" in GUIDE


def test_every_function_named_is_there():
    table = GUIDE.split("| metric | function |")[1].split("\n\n")[0]
    names = {
        name for row in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[2])
    }
    assert len(names) > 25
    assert all(callable(getattr(evaluation, name)) for name in names)
