from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from orality.cli.commands import app
from orality.errors import OralityError
from orality.evaluation.results import read_results
from orality.evaluation.tables.tables import write_tables
from orality.progress import duration
from orality.report import write_report
from orality.report.data.run_data import Continuation, Prompt, RunData, Stage, read_run
from orality.report.page import write_page
from orality.report.sections.costs import cost_rows
from orality.report.sections.examples import extremes
from orality.report.sections.thresholds import Thresholds
from orality.report.sections.yield_table import round_yields, run_yields

TABLES = ("table.md", "table.csv", "table.tex")


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def forget(run: Path) -> Path:
    """Leave only what a run has stored of its work."""
    for name in (*TABLES, "report.html"):
        (run / name).unlink(missing_ok=True)
    return run


def test_one_command_made_all_without_any_component_or_model_library(
    finished: Path, tmp_path: Path
) -> None:
    write_tables(tmp_path / "tables", read_results(finished / "results.json"))
    tables = {path.name: path.read_bytes() for path in (tmp_path / "tables").iterdir()}
    assert set(TABLES) <= set(tables)
    assert {name: (finished / name).read_bytes() for name in tables} == tables
    assert (finished / "report.html").is_file()
    assert (finished / "figures" / "curriculum.svg").is_file()
    stored = json.loads((finished.parent / "stored.json").read_text())
    assert {path: digest(finished / path) for path in stored} == stored


def test_the_command_s_options_bound_the_page(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(given: Path, **options: object) -> Path:
        asked.append((given, options))
        return given / "report.html"

    asked: list[tuple[Path, dict[str, object]]] = []
    monkeypatch.setattr("orality.report.write_report", write)
    options = ["--prompts", "7", "--audio-mb", "2.5"]
    found = CliRunner().invoke(app, ["report", str(run), *options])
    assert found.output == f"{run / 'report.html'}\n"
    assert asked == [(run, {"max_prompts": 7, "audio_megabytes": 2.5})]


def test_a_run_that_has_only_begun_gets_what_there_is(run: Path) -> None:
    forget(run)
    for name in ("evaluation", "round-2", "round-1"):
        shutil.rmtree(run / name)
    (run / "results.json").unlink()
    write_report(run, max_prompts=1)
    assert not any((run / name).exists() for name in TABLES)
    assert not (run / "figures").exists()


def stage(rows: list[tuple[str, float | None, float]], **pairs: int) -> Stage:
    items = [
        Continuation(f"{prompt}-{index}", prompt, Path("a"), "words", bleu, score, None, "")
        for index, (prompt, score, bleu) in enumerate(rows)
    ]
    limits = Thresholds(2, 4, 0.1)
    pairing = sum(pairs.values())
    return Stage("round-1", "Round 1", limits, items, {}, pairs, [], False, pairing)


ROWS = [
    ("a", 5, 0.0), ("a", 1, 0.0),  # a pair under any thresholds
    ("b", 3, 0.0), ("b", 2, 0.0),  # only where 3 may be chosen
    ("c", 5, 0.0), ("c", 4, 0.5),  # a pair because the second repeats itself
    ("d", 5, 0.5), ("d", None, 0.0),  # never: nothing may be chosen
]  # fmt: skip


def test_yields_of_other_thresholds_follow_equation_2() -> None:
    found = {(row.rejected, row.chosen): row for row in round_yields(stage(ROWS), [])}
    assert {key: row.pairs for key, row in found.items()} == {
        (1, 2): 2, (1, 3): 2, (1, 4): 2, (1, 5): 2, (2, 3): 3, (2, 4): 2, (2, 5): 2,
        (3, 4): 2, (3, 5): 2, (4, 5): 2,
    }  # fmt: skip
    assert [key for key, row in found.items() if row.used] == [(2, 4)]
    assert found[2, 3].share == 3 / 4


def test_the_thresholds_in_use_count_the_pairs_that_were_stored() -> None:
    found = round_yields(stage(ROWS, train=1), [])
    assert next(row.pairs for row in found if row.used) == 1


def test_nothing_judged_yields_nothing() -> None:
    assert round_yields(stage([("a", None, 0.0)]), []) == []


def test_every_round_is_shown_under_the_thresholds_of_all(finished: Path) -> None:
    rows = run_yields(read_run(finished))
    used = [(row.round, row.rejected, row.chosen) for row in rows if row.used]
    assert used == [("Round 1", 1.5, 3), ("Round 2", 2, 4)]
    assert ("Round 2", 1.5, 3) in {(row.round, row.rejected, row.chosen) for row in rows}


def test_costs_are_told_by_stage_and_together(tmp_path: Path) -> None:
    lines = [
        {"round": "round-1", "stage": "verdicts", "seconds": 30.0, "rows": 100, "dollars": 0.5},
        {"round": "round-1", "stage": "speech", "seconds": 4.0, "rows": 10, "dollars": 0.0},
        {"round": "round-1", "stage": "verdicts", "seconds": 10.0, "rows": 100, "dollars": 0.25},
    ]
    text = "\n".join(json.dumps(line) for line in lines) + '\n{"stage": "ver'
    (tmp_path / "metrics.jsonl").write_text(text)
    assert cost_rows(tmp_path) == [
        ("round-1", "verdicts", "200", duration(40), "5.0", "0.75"),
        ("round-1", "speech", "10", duration(4), "2.5", "–"),
        ("together", "", "", duration(44), "", "0.75"),
    ]
    assert cost_rows(tmp_path / "elsewhere") == []


def test_costs_are_on_the_page_where_the_run_kept_them(run: Path) -> None:
    row = {"time": "x", "stage": "<b>judge", "done": 3, "seconds": 2, "rows": 3, "dollars": 0.1}
    (run / "metrics.jsonl").write_text(json.dumps(row))
    page = write_page(read_run(run), None, max_prompts=0).read_text(encoding="utf-8")
    assert 'id="costs"' in page
    assert "&lt;b&gt;judge" in page


def test_best_and_worst_are_of_different_prompts() -> None:
    rows = [("a", 5, 0.0), ("a", 1, 0.0), ("b", 4, 0.0), ("c", 2, 0.0), ("d", None, 0.0)]
    prompt = {key: Prompt(key, "train", "", "", None, None) for key in "abcd"}
    run = RunData(Path("r"), {}, "", {}, prompt, [], [], [], None)
    items = stage([(key, score, 0.0) for key, score, _ in rows]).continuations
    items = [Continuation(i.id, i.prompt_id, None, "", 0.0, i.score, None, "") for i in items]
    found = extremes(run, "Round 1", items, count=3)
    assert [example.take.item.score for example in found.best] == [5]
    assert [example.take.item.score for example in found.worst] == [2]
    assert extremes(run, "Round 1", items[:2], count=3) is None


def test_a_damaged_table_of_results_stops_the_report(run: Path) -> None:
    (run / "results.json").write_text("[]")
    with pytest.raises(OralityError, match=r"results.json"):
        write_report(run)
