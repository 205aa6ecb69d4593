"""What the tables print, and what they refuse to print in bold."""

from __future__ import annotations

import json
import re

import pytest

from orality.errors import EvaluationError
from orality.evaluation import read_published, regenerate_tables
from orality.evaluation.markdown import markdown
from orality.evaluation.provenance import commit_of, provenance
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
from orality.evaluation.statistics.intervals import Interval
from orality.evaluation.tables.forms import systems_by_metrics, table1, table2
from orality.evaluation.tables.latex import latex
from orality.evaluation.tables.tables import columns, csv_table, latex_table, markdown_table


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
    assert lines[5].endswith("0.1,0.02,0.04,,mcnemar-exact")  # none within its column is stored
    assert len({line.count(",") for line in lines}) == 1


THREE = Results(
    systems=[System("base"), System("a"), System("b")],
    results=[
        *(
            metric(n, WUGGY, v, benchmark="sWUGGY")
            for n, v in (("base", 0.5), ("a", 0.7), ("b", 0.6))
        ),
        *(metric(n, PPL, v, half=0.2) for n, v in (("base", 90.0), ("a", 80.0), ("b", 100.0))),
    ],
    comparisons=[
        *(compared(WUGGY, name, 0.01, "sWUGGY") for name in "ab"),
        *(compared(PPL, name, p) for name, p in (("a", 0.01), ("b", 0.3))),
    ],
    settings={"baseline": "base"},
)


def test_the_second_best_is_underlined_where_the_tests_say_so():
    text = latex_table(THREE)
    assert r"\textbf{70.0}" in text
    assert r"\underline{60.0}" in text
    assert r"\textbf{80.0}" in text
    assert r"\underline{90.0}" not in text  # the baseline does not differ from b


def test_table_1_has_metrics_down_and_a_difference_beside_every_system():
    text = markdown(table1(THREE))
    assert text.splitlines()[:5] == [
        "| Metric | base | a | Diff | b | Diff |",
        "|:--|--:|--:|--:|--:|--:|",
        "| *ZeroSpeech* | | | | | |",
        r"| sWUGGY ↑ | 50.0 ±5.0 | **70.0** ±5.0 | +20.0\* | 60.0 ±5.0 | +10.0\* |",
        "| *Speech continuation* | | | | | |",
    ]
    assert r"−10.0\* | 100.0 ±0.2 | +10.0 |" in text


def test_differences_can_stand_beside_every_column():
    grid = systems_by_metrics(THREE, differences=True)
    assert [head.label for head in grid.heads] == ["sWUGGY", "Diff", "PPL", "Diff"]
    assert "| b | 60.0 ±5.0 | +10.0\\* | 100.0 ±0.2 | +10.0 |" in markdown(grid)


PUBLISHED = """
source: "Doe & Roe (2020), Table_1"
lower_is_better: [WER]
rows:
  - {group: "<1B", system: "A|B {x}", values: {sWUGGY: 99.9, WER: 3.25}}
  - {group: ours, system: other, source: elsewhere, values: {sWUGGY: [61, 0.5]}}
"""


@pytest.fixture
def published(tmp_path):
    (tmp_path / "published.yaml").write_text(PUBLISHED)
    return read_published(tmp_path / "published.yaml")


def test_published_rows_are_marked_and_never_bold(published):
    text = markdown(table2(THREE, published, group="ours"))
    assert text.splitlines()[:8] == [
        "| System | sWUGGY ↑ | PPL ↓ | WER ↓ |",
        "|:--|--:|--:|--:|",
        "| *&lt;1B* | | | |",
        r"| A\|B {x}† | 99.9 | – | 3.25 |",
        "| *ours* | | | |",
        "| other† | 61.0 ±0.5 | – | – |",
        "| base | 50.0 ±5.0 | 90.0 ±0.2 | – |",
        "| a | **70.0** ±5.0 | **80.0** ±0.2 | – |",
    ]
    assert "† not measured here: Doe & Roe (2020), Table_1" in text
    assert "† not measured here: elsewhere" in text
    assert "**99.9**" not in latex(table2(THREE, published)) + text
    assert r"\textbf{99.9}" not in latex(table2(THREE, published))


def test_published_figures_do_not_share_a_column_with_a_benchmark_of_our_own(published):
    own = Results(
        THREE.systems, THREE.results, THREE.comparisons,
        {"baseline": "base", "benchmarks": {"sWUGGY": {"source": "stories/swuggy"}}},
    )  # fmt: skip
    head, *_ = markdown(table2(own, published)).splitlines()
    assert head == "| System | sWUGGY ↑ | sWUGGY, published ↑ | PPL ↓ | WER ↓ |"


def test_published_figures_are_in_the_csv_with_their_source(published):
    lines = csv_table(THREE, published).splitlines()
    assert lines[-1].startswith("other,sWUGGY,,ours,61.0,60.5,61.5,")
    assert "elsewhere" in lines[-1]
    assert '"Doe & Roe (2020), Table_1"' in lines[-2]


def test_published_rows_may_be_json(tmp_path):
    data = {"rows": [{"system": "s", "source": "x", "values": {"sBLIMP": 50}}]}
    (tmp_path / "p.json").write_text(json.dumps(data))
    [row] = read_published(tmp_path / "p.json").rows
    assert row.values == {"sBLIMP": (50.0, None)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rows: [{system: a, values: {x: 1}}]", "a has no source"),
        ("source: s\nrows: [{system: a, values: {x: good}}]", "values.x"),
        ("source: s\nrows: [{system: a, values: {x: .nan}}]", "values.x"),
        ("source: s\nrows: [{system: a, value: {}}]", "value"),
        ("rows: {", "cannot be read as plain YAML"),
        ("!!python/object/apply:os.system [echo]", "cannot be read as plain YAML"),
    ],
)
def test_published_rows_that_cannot_be_trusted_are_refused(tmp_path, text, message):
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(EvaluationError, match=re.escape(message)):
        read_published(tmp_path / "p.yaml")


def test_the_shipped_rows_are_align_slm_s():
    rows = {(row.group, row.system): row.values for row in read_published("align-slm").rows}
    assert len(rows) == 22
    assert rows["7B", "Align-SLM-mls + CL"]["T-StoryCloze"] == (86.8, None)
    with pytest.raises(EvaluationError, match="shipped: align-slm"):
        read_published("alien-slm")


def test_two_variants_of_a_kind_are_told_apart():
    both = Results([System("s")], [metric("s", PPL, 3.0), metric("s", "ppl/j/cond/mean-exp", 4.0)])
    assert [c.label for c in columns(both)] == ["PPL (j/cond/exp-mean)", "PPL (j/cond/mean-exp)"]


NASTY = r"""[a]\b ~^ 50% & $x_1$ #{y} <z> "q" `c` | * – − ± † ü"""


def test_latex_is_well_formed_whatever_the_names(published):
    results = Results(
        [System("base"), System(NASTY)],
        [metric("base", WUGGY, 0.5, benchmark=NASTY), metric(NASTY, WUGGY, 0.7, benchmark=NASTY)],
        [Comparison(WUGGY, NASTY, None, NASTY, "base", 0.2, None, 0.01, 0.01, "x", 9)],
        {"baseline": "base"},
    )
    for grid in (
        systems_by_metrics(results), systems_by_metrics(results, differences=True),
        table1(results), table2(results, published, group=NASTY), table2(THREE, published),
        table2(THREE, read_published("align-slm"), group="1.3B"),
    ):  # fmt: skip
        check_tabular(latex(grid))


def check_tabular(text):
    """LaTeX's own demands, by a strict reader: braces, math, specials, and cells of every row."""
    spec = re.match(r"\\begin\{tabular\}\{(l r*)\}".replace(" ", ""), text)
    width = len(spec.group(1))
    body = text[spec.end() : text.index(r"\end{tabular}")]
    assert text.endswith("\\end{tabular}\n")
    tokens = re.findall(r"\\[A-Za-z]+|\\.|[{}$&^_#%~]|[^\\{}$&^_#%~]+", body, re.S)
    assert "".join(tokens) == body
    known = {
        r"\toprule", r"\midrule", r"\bottomrule", r"\cmidrule", r"\multicolumn", r"\textbf",
        r"\underline", r"\textit", r"\footnotesize", r"\pm", r"\uparrow", r"\downarrow",
        r"\dagger", r"\textbackslash", r"\textasciitilde", r"\textasciicircum", r"\textless",
        r"\textgreater", r"\textbar",
    }  # fmt: skip
    depth, math, cells, span = 0, False, 1, re.compile(r"\{(\d+)\}")
    place = 0
    for token in tokens:
        place += len(token)
        if token == "{":
            depth += 1
        elif token == "}":
            depth -= 1
            assert depth >= 0
        elif token == "$":
            math = not math
        elif token == "&":
            assert depth == 0
            cells += 1
        elif token == "^":
            assert math
        elif token == "\\\\":
            assert (depth, math, cells) == (0, False, width)
            cells = 1
        elif token == r"\multicolumn":
            cells += int(span.match(body, place).group(1)) - 1
        elif token in {"_", "#", "%", "~"}:
            raise AssertionError(f"a bare {token}")
        elif token.startswith("\\") and token[1].isalpha():
            assert token in known, token
        elif token.startswith("\\"):
            assert token[1] in "&%$#_{}", token
        else:
            assert not set(token) & set('–−±†↑↓<>|"'), token
    assert (depth, math, cells) == (0, False, 1)


@pytest.mark.parametrize(
    "broken", [r"a & b & c \\", r"a & \textbf{b \\", r"a & 5% \\", r"a & $b \\", r"a & x_1 \\"]
)
def test_the_strict_reader_sees_what_latex_would_refuse(broken):
    check_tabular("\\begin{tabular}{lr}\n" + r"a & b \\" + "\n\\end{tabular}\n")
    with pytest.raises(AssertionError):
        check_tabular("\\begin{tabular}{lr}\n" + broken + "\n\\end{tabular}\n")


def test_all_tables_are_made_anew_from_what_is_stored(tmp_path, published):
    write_results(tmp_path / "results.json", THREE)
    written = regenerate_tables(tmp_path, published=published, group="ours")
    assert {path.name for path in written} == {
        "table.md", "table.tex", "table.csv", "table1.md", "table1.tex", "table2.md", "table2.tex",
    }  # fmt: skip
    before = {path: path.read_bytes() for path in written}
    for path in written:
        path.unlink()
    regenerate_tables(tmp_path, published=published, group="ours")
    assert {path: path.read_bytes() for path in written} == before
    with pytest.raises(EvaluationError, match="holds no results"):
        regenerate_tables(tmp_path / "nowhere")


def test_results_say_what_made_them(tmp_path):
    made = provenance()
    assert made["orality"]
    assert made["command"]
    stored = Results(THREE.systems, THREE.results, provenance=made)
    write_results(tmp_path / "results.json", stored)
    assert read_results(tmp_path / "results.json").provenance == made


def test_the_commit_of_a_source_tree_is_read_without_git(tmp_path):
    git = tmp_path / ".git"
    (git / "refs" / "heads").mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    assert commit_of(tmp_path) is None
    (git / "packed-refs").write_text("# pack\n" + "a" * 40 + " refs/heads/main\n")
    assert commit_of(tmp_path) == "a" * 40
    (git / "refs" / "heads" / "main").write_text("b" * 40 + "\n")
    assert commit_of(tmp_path) == "b" * 40
    assert commit_of(tmp_path / "nowhere") is None


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
