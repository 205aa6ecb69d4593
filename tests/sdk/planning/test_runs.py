"""Rates from a run's own files, written here by hand."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from orality import Recipe, StoreError
from orality.feedback import schemas
from orality.planning import rates_of_run
from orality.planning.prices import dollars_per_request
from orality.planning.runs import Shards, bytes_per_prompt, steady
from orality.plugins import load
from orality.store import append_metrics, put_shard

BEGINNING, CONTINUATION = "ab", "cdef"
ASKED = '{"beginning": "ab", "continuation": "cdef"}'


def blank(schema: pa.Schema, **values):
    return {name: None for name in schema.names} | values


@pytest.fixture
def run(tmp_path):
    """Three shards of four prompts, two continuations each; one stage of a round."""
    data = Recipe.load("toy").model_dump()
    data["sampling"]["samples_per_prompt"] = 2
    (tmp_path / "rubric").write_text("abc")
    price = {"input": 3.0, "output": 6.0}
    data["judge"] = {
        "name": "anthropic", "price": price, "rubric": str(tmp_path / "rubric"),
    }  # fmt: skip
    run = tmp_path / "run"
    (run / "round-1").mkdir(parents=True)
    (run / "recipe.yaml").write_text(Recipe.parse(data).dump())
    for number in range(3):
        ids = [f"p{number}{place}" for place in range(4)]
        prompts = [blank(schemas.PROMPTS, id=i, split="train", prompt_text=BEGINNING) for i in ids]
        put_shard(run / "prompts" / f"train-{number:05d}.parquet", prompts, schemas.PROMPTS)
        heard = [
            blank(schemas.TRANSCRIPTS, id=f"{i}-{place}", prompt_id=i, text=CONTINUATION)
            for i in ids
            for place in range(2)
        ]
        transcripts = run / "round-1" / "transcripts"
        put_shard(transcripts / f"train-{number:05d}.parquet", heard, schemas.TRANSCRIPTS)
    for number, seconds in enumerate([100.0, 4.0, 6.0]):
        append_metrics(
            run, round="round-1", stage="transcripts", shards=[f"train-{number:05d}"],
            rows=8, seconds=seconds, dollars=0.0, worker=0,
        )  # fmt: skip
    return run


def test_the_first_shards_of_a_worker_are_apart_from_the_rest(run):
    """4 s and 6 s for four prompts each: 1.25 s a prompt, so the first took 95 s longer. Residuals
    of 1 s: a deviation of sqrt(2), an error of sqrt(2) / 4 / sqrt(2) = 0.25 s."""
    (heard,) = rates_of_run(run, device="a device", built={"transcripts": 5.0}).stages
    assert heard.seconds == pytest.approx(1.25)
    assert heard.start == pytest.approx(100.0)
    assert heard.spread == pytest.approx(0.25 * 12.706, rel=1e-4)


def test_rows_and_not_shards_are_counted_where_some_were_there_before(run):
    append_metrics(
        run, round="round-1", stage="transcripts", shards=["train-00001", "train-00002"],
        rows=8, seconds=5.0, dollars=0.0, worker=0,
    )  # fmt: skip
    (heard,) = rates_of_run(run, device="a device").stages
    assert heard.seconds == pytest.approx(15 / 12)


def test_every_worker_starts_once():
    """Worker 0: 2 s, then 1 s; worker 1: 4 s, then 1 s: starts of 1 s and 3 s."""
    told = [Shards("speech", worker, 1.0, s, 0.0) for worker, s in [(0, 2), (1, 4), (0, 1), (1, 1)]]
    assert steady(told) == (1.0, pytest.approx(0), 2.0)


def test_shards_that_are_all_first_ones_are_all_there_is_to_go_by():
    told = [Shards("speech", worker, 1.0, 3.0, 0.0) for worker in range(2)]
    assert steady(told) == (3.0, pytest.approx(0), 0.0)


def test_disk_is_that_of_the_stage_s_files_and_recordings(run):
    speech = run / "round-1" / "speech"
    row = blank(schemas.SPEECH, id="p00-0", prompt_id="p00", seconds=1.0)
    put_shard(speech / "train-00000.parquet", [row], schemas.SPEECH)
    audio = run / "round-1" / "audio" / "train-00000"
    audio.mkdir(parents=True)
    (audio / "p00-0.flac").write_bytes(b"0" * 4000)
    size = (speech / "train-00000.parquet").stat().st_size
    found = bytes_per_prompt(run)
    assert found["speech"] == (size + 4000) / 4
    shards = (run / "round-1" / "transcripts").glob("*.parquet")
    assert found["transcripts"] == sum(path.stat().st_size for path in shards) / 12


def judge_of(run):
    return Recipe.load(run / "recipe.yaml").resolve().judges["verdicts"].pair


def test_a_judge_that_was_not_asked_is_reckoned_by_its_price(run):
    """Three bytes to a token and twenty tokens of an answer, 3 and 6 dollars a million."""
    tokens = (len("abc") + len(ASKED)) // 3
    spec, config = judge_of(run)
    dollars, how = dollars_per_request(spec, config, run, "verdicts")
    assert dollars == pytest.approx((3 * tokens + 6 * 20) / 1e6)
    assert how.startswith("not asked")


def test_a_judge_that_was_asked_is_reckoned_by_the_tokens_it_told(run):
    told = [
        {"input_tokens": 100, "output_tokens": 10},
        {"input_tokens": 300, "output_tokens": 30},
    ]
    rows = [
        blank(schemas.VERDICTS, id=str(place), metrics=json.dumps(tokens))
        for place, tokens in enumerate(told)
    ]
    put_shard(run / "round-1" / "verdicts" / "train-00000.parquet", rows, schemas.VERDICTS)
    spec, config = judge_of(run)
    dollars, how = dollars_per_request(spec, config, run, "verdicts")
    assert dollars == pytest.approx((3 * 200 + 6 * 20) / 1e6)
    assert how == "tokens told by the server"


def test_a_judge_without_a_price_costs_an_unknown_sum(run):
    registry = load()
    component, config = registry.configure(
        "judge", "openai-compatible", model="m", base_url="https://example.org/v1"
    )
    dollars, how = dollars_per_request(component.spec, config, run, "verdicts")
    assert (dollars, how) == (None, "the price is not known")


def test_a_batch_costs_half():
    component, config = load().configure("judge", "anthropic", batch=True)
    single = component.spec.config(model=config.model)
    assert component.spec.price(config).input == component.spec.price(single).input / 2


def test_a_run_without_metrics_is_named(run):
    (run / "metrics.jsonl").unlink()
    with pytest.raises(StoreError, match="no metrics to plan from"):
        rates_of_run(run, device="a device")
