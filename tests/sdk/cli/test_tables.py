from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from orality.cli.commands import app
from orality.errors import EvaluationError
from orality.evaluation.results import Comparison, Metric, Results, System, write_results


@pytest.fixture
def run(tmp_path):
    systems = [System("base"), System("aligned")]
    figures = [
        Metric(s.name, "sblimp/mean", "sBLIMP", None, v, 9, 0, 0, None)
        for s, v in zip(systems, (0.5, 0.6), strict=True)
    ]
    test = Comparison(
        "sblimp/mean", "sBLIMP", None, "aligned", "base", 0.1, None, 0.01, 0.01, "mcnemar-exact", 9
    )
    write_results(tmp_path / "run" / "results.json", Results(systems, figures, [test]))
    return tmp_path / "run"


def test_tables_are_written_beside_the_results_of_a_run(run):
    done = CliRunner().invoke(app, ["tables", str(run)])
    assert done.exit_code == 0, done.output
    assert str(run / "table1.tex") in done.stdout
    assert "| sBLIMP ↑ | 50.0 | **60.0** | +10.0\\* |" in (run / "table1.md").read_text()


def test_published_systems_stand_beside_ours(run, tmp_path):
    done = CliRunner().invoke(
        app,
        ["tables", str(run), "--published", "align-slm", "--group", "1.3B", "--out", str(tmp_path)],
    )
    assert done.exit_code == 0, done.output
    rows = (tmp_path / "table2.md").read_text().splitlines()
    small, large = (
        rows.index(next(r for r in rows if "1.3B" in r)),
        rows.index(next(r for r in rows if r.startswith("| *7B*"))),
    )
    ours = next(i for i, row in enumerate(rows) if row.startswith("| aligned |"))
    assert small < ours < large
    assert "Align-SLM + CL† | 58.2 |" in rows[small + 5]


def test_a_folder_without_results_is_an_error(tmp_path):
    done = CliRunner().invoke(app, ["tables", str(tmp_path)])
    assert isinstance(done.exception, EvaluationError)


def test_the_report_makes_all_tables_anew_without_measuring_anything(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "listening"))
    from listening_fakes import make_run

    run = make_run(tmp_path / "run")
    measured = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    done = CliRunner().invoke(app, ["report", str(run)])
    assert done.exit_code == 0, done.output
    assert {path: path.read_bytes() for path in measured} == measured
    new = {path.name for path in run.iterdir()}
    assert {"table.md", "table.csv", "table1.tex", "table2.md", "report.html"} <= new
