from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from orality import Recipe, RecipeError
from orality.cli.commands import app
from orality.planning import calibrate, plan_recipe, read_rates
from orality.run import build_pairs

STAGES = ["prompts", "continuations", "speech", "transcripts", "verdicts", "pairs"]


@pytest.fixture(scope="module")
def measured():
    return calibrate(Recipe.load("toy"), 12)


def test_a_calibration_measures_every_stage(measured):
    assert [rate.stage for rate in measured.stages] == STAGES
    for rate in measured.stages:
        assert rate.seconds > 0
        assert rate.spread is not None
        assert rate.bytes > 0
        assert rate.dollars == 0
    assert measured.samples == 5
    assert "shards of 3 prompts" in " ".join(measured.assumptions)
    assert [rate.stage for rate in measured.stages if not rate.on_device] == ["pairs"]


def test_a_judge_behind_a_server_is_asked_only_if_it_may_be_paid(monkeypatch):
    """Without a key the judge could not even be built."""
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    data = Recipe.load("toy").model_dump()
    recipe = Recipe.parse(data | {"further_judges": {"claude": {"name": "anthropic"}}})
    rates = calibrate(recipe, 8)
    claude = rates.stages[-1]
    assert (claude.stage, claude.seconds, claude.on_device) == ("verdicts-claude", None, False)
    assert 0 < claude.dollars < 0.01
    assert "pairs" in [rate.stage for rate in rates.stages]
    with pytest.raises(Exception, match="ANTHROPIC_API_KEY"):
        calibrate(recipe, 8, paid=True)
    assert "--paid asks it" in " ".join(rates.assumptions)


def test_without_the_judge_that_decides_no_pairs_are_selected():
    data = Recipe.load("toy").model_dump()
    rates = calibrate(Recipe.parse(data | {"judge": {"name": "anthropic"}}), 8)
    assert [rate.stage for rate in rates.stages] == [*STAGES[:4], "verdicts"]


def test_too_few_prompts_are_refused():
    with pytest.raises(RecipeError, match="takes 8 prompts at least, got 7"):
        calibrate(Recipe.load("toy"), 7)


def test_the_command_prints_a_table_and_json(measured, tmp_path):
    rates = tmp_path / "rates.json"
    rates.write_text(measured.model_dump_json())
    command = ["plan", "toy", "--rates", str(rates), "--prompts", "1000", "--devices", "1,8"]
    told = CliRunner().invoke(app, command).stdout
    assert told.startswith("1,000 prompts with 5 continuations each (5,000), one round, on: ")
    for stage in STAGES:
        assert f"| {stage} |" in told
    assert "\n| 8 | " in told
    assert "Assumptions:" in told
    data = json.loads(CliRunner().invoke(app, [*command, "--json"]).stdout)
    assert data["plan"]["prompts"] == 1000
    (tmp_path / "again.json").write_text(json.dumps(data))
    assert read_rates(tmp_path / "again.json") == measured


def test_a_run_s_own_metrics_may_serve_instead(tmp_path):
    data = Recipe.load("toy").model_dump()
    data["corpus"] |= {"max_prompts": 6, "max_dev_prompts": 2}
    recipe = Recipe.parse(data | {"shard_size": 2})
    build_pairs(recipe, tmp_path / "run")
    found = plan_recipe(recipe, run=tmp_path / "run", devices=[1])
    assert found.plan.prompts == 8
    assert {stage.stage for stage in found.plan.stages} == set(STAGES)
    assert found.plan.hours > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--devices", "1,two"], "takes numbers like"),
        (["--devices", "0"], "takes numbers like"),
        (["--from", "run", "--rates", "rates.json"], "not both"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, message):
    done = CliRunner().invoke(app, ["plan", "toy", *options])
    assert done.exit_code == 2
    assert message in done.output
