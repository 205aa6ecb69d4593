"""What the tables print, and what they refuse to print in bold."""

from __future__ import annotations

import pytest

from orality.errors import EvaluationError
from orality.evaluation.results import (
    Comparison,
    Item,
    Metric,
    Results,
    System,
    read_items,
    read_results,
    write_items,
    write_results,
)
from orality.evaluation.statistics import Interval
from orality.evaluation.tables import columns, csv_table, latex_table, markdown_table


def metric(system, name, value, *, benchmark="prompts", group=None, half=0.05, ties=0, failed=0):
    interval = Interval("cluster-bootstrap", 0.95, value - half, value + half)
    return Metric(system, name, benchmark, group, value, 40, failed, ties, interval)


def compared(name, a, p, benchmark="prompts"):
    return Comparison(name, benchmark, None, a, "base", 0.1, None, p / 2, p, "mcnemar-exact", 40)


WUGGY, PPL, JUDGE = "swuggy/mean", "ppl/j/cond/exp-mean", "judge/j/asr"
RESULTS = Results(
    systems=[System("base"), System("round_1"), System("round 2")],
    results=[
        metric("base", WUGGY, 0.5, benchmark="sWUGGY", ties=4),
        metric("base", WUGGY, 0.6, benchmark="sWUGGY", group="in_vocab"),
        metric("base", JUDGE, 2.0, half=0.125),
        metric("base", PPL, 200.0, half=10),
        metric("round_1", WUGGY, 0.6, benchmark="sWUGGY"),
        metric("round_1", JUDGE, 2.5, failed=3),
        metric("round_1", PPL, 100.0, half=10),
        metric("round 2", WUGGY, 0.7, benchmark="sWUGGY"),
        metric("round 2", PPL, 150.0, half=10),
    ],
    comparisons=[
        compared(WUGGY, "round_1", 0.04, "sWUGGY"),
        compared(WUGGY, "round 2", 0.051, "sWUGGY"),
        compared(JUDGE, "round_1", 0.049),
        compared(PPL, "round_1", 0.001),
        compared(PPL, "round 2", 0.001),
    ],
    settings={"baseline": "base"},
    recipe="r",
)


def test_the_table_is_markdown_with_intervals_and_directions():
    assert markdown_table(RESULTS).splitlines()[:5] == [
        "| System | sWUGGY ↑ | Judge score ↑ | PPL ↓ |",
        "|:--|--:|--:|--:|",
        "| base | 50.0 ±5.0 | 2.00 ±0.12 | 200.0 ±10.0 |",
        # not bold in sWUGGY: best is round 2, whose test fails by a hair
        "| round_1 | 60.0 ±5.0 | **2.50** ±0.05 | **100.0** ±10.0 |",
        "| round 2 | 70.0 ±5.0 | – | 150.0 ±10.0 |",
    ]


def test_the_legend_names_metrics_ties_and_failures():
    text = markdown_table(RESULTS)
    assert "- sWUGGY: `swuggy/mean`, n = 40, ties 0.0 to 10.0 %" in text
    assert "- Judge score: `judge/j/asr`, n = 40, failed 0 to 3" in text
    assert "95 % interval" in text


def test_a_baseline_is_bold_only_if_it_beats_all():
    worse = Results(
        systems=[System("base"), System("a"), System("b")],
        results=[metric(n, JUDGE, v) for n, v in (("base", 3.0), ("a", 2.0), ("b", 2.5))],
        comparisons=[compared(JUDGE, "a", 0.01), compared(JUDGE, "b", 0.2)],
        settings={"baseline": "base"},
    )
    assert "**" not in markdown_table(worse)
    clear = Results(
        worse.systems, worse.results, [compared(JUDGE, n, 0.01) for n in "ab"], worse.settings
    )
    assert "**3.00**" in markdown_table(clear)


def test_groups_become_columns_when_asked_for():
    labels = [column.label for column in columns(RESULTS, groups=(None, "in_vocab"))]
    assert labels == ["sWUGGY", "sWUGGY (in_vocab)", "Judge score", "PPL"]


def test_latex_is_booktabs_and_escaped():
    text = latex_table(RESULTS)
    assert text.splitlines()[0] == r"\begin{tabular}{lrrr}"
    assert (
        r"round\_1 & 60.0 $\pm$5.0 & \textbf{2.50} $\pm$0.05 & \textbf{100.0} $\pm$10.0 \\" in text
    )
    assert text.endswith("\\bottomrule\n\\end{tabular}\n")


def test_csv_has_every_figure_unrounded():
    lines = csv_table(RESULTS).splitlines()
    assert len(lines) == 1 + len(RESULTS.results)
    assert lines[2].startswith("base,swuggy/mean,sWUGGY,in_vocab,0.6,")
    assert "round_1,swuggy/mean,sWUGGY,,0.6" in lines[5]
    assert lines[5].endswith("0.1,0.02,0.04,mcnemar-exact")


def test_results_survive_the_disk(tmp_path):
    write_results(tmp_path / "results.json", RESULTS)
    assert read_results(tmp_path / "results.json") == RESULTS
    items = [Item("a", "s", "m", None, "c", {"error": "é"}), Item("b", "s", "m", 0.5, "c")]
    write_items(tmp_path / "items.jsonl", items)
    assert read_items(tmp_path / "items.jsonl") == items


@pytest.mark.parametrize("text", ["{", "{}", '{"version": 2}', '{"version": 1, "systems": [3]}'])
def test_damaged_results_are_named(tmp_path, text):
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(EvaluationError, match=r"results\.json"):
        read_results(tmp_path / "results.json")


def test_a_damaged_item_names_its_line(tmp_path):
    (tmp_path / "items.jsonl").write_text('{"id": 1}\n')
    with pytest.raises(EvaluationError, match=r"items\.jsonl, line 1"):
        read_items(tmp_path / "items.jsonl")


def test_the_evaluation_imports_no_torch():
    import subprocess
    import sys

    code = "import orality.evaluation.evaluate, sys; raise SystemExit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
