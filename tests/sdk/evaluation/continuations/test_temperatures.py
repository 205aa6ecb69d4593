"""Systems sampled at several temperatures: stored, resumed, compared, and written down."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from evaluation_fakes import melody, run_evaluation

from orality.errors import EvaluationError
from orality.evaluation.continuations.sample import EvaluationPrompt
from orality.evaluation.continuations.temperatures import AtTemperature
from orality.evaluation.evaluate import SystemInfo
from orality.evaluation.frontier.points import make_frontier
from orality.evaluation.metrics.gslm import vert
from orality.evaluation.results import Item, read_items, read_results
from orality.evaluation.tables.tables import regenerate_tables
from orality.store import read_records
from orality.testing.tones import ToneTokenizer, ToneTranscriber, ToneVocoder, VowelJudge
from orality.testing.toy import UNIT_SPEC
from orality.types import Sample, SamplingOptions, Units

JUDGE, BLEU = "judge/toy/tones", "auto-bleu/align-slm/tones"
PROMPTS = [EvaluationPrompt(f"p{n}", melody(1, n + 2, 1), "a b") for n in range(6)]


class WarmSLM:
    """Draws low units, the space among them, the more often the colder it is."""

    unit_spec = UNIT_SPEC
    context_length = 512

    def __init__(self) -> None:
        self.drawn: list[float] = []

    def log_likelihood(self, batch, *, convention="no_bos"):
        raise AssertionError("there is no benchmark")

    def generate(self, prompts, *, num_samples, max_new_units, sampling, seeds):
        weights = np.exp(-0.3 * np.arange(8) / sampling.temperature)
        results = []
        for seed in seeds:
            self.drawn.append(sampling.temperature)
            rng = np.random.default_rng(seed)
            rows = rng.choice(8, size=(num_samples, max_new_units), p=weights / weights.sum())
            results.append([Sample(Units(row.astype(np.int64)), -1.0) for row in rows])
        return results


def evaluate(out, models, **changes):
    arguments = {
        "systems": {name: (lambda slm=slm: slm) for name, slm in models.items()},
        "info": {name: SystemInfo(fingerprint=name) for name in models},
        "tokenizer": ToneTokenizer(),
        "vocoder": ToneVocoder(),
        "transcriber": ToneTranscriber(),
        "judge": VowelJudge(),
        "benchmarks": {},
        "prompts": PROMPTS,
        "samples_per_prompt": 2,
        "max_new_units": 40,
        "seed": 1,
        "out": out,
        "baseline": "pre-trained",
        "judge_name": "toy",
        "transcriber_name": "tones",
        "scale": (1.0, 5.0),
        "sampling": SamplingOptions(temperature=1.0),
        "temperatures": (0.5, 2.0),
        **changes,
    }
    return run_evaluation(**arguments)


def models():
    return {"pre-trained": WarmSLM(), "aligned": WarmSLM()}


def test_the_baseline_is_sampled_at_every_temperature_and_others_at_one(tmp_path):
    systems = models()
    results = evaluate(tmp_path, systems)
    assert sorted(set(systems["pre-trained"].drawn)) == [0.5, 1.0, 2.0]
    assert set(systems["aligned"].drawn) == {1.0}
    found = results.frontier
    assert [(p.system, p.temperature) for p in found.points] == [
        ("pre-trained", 1.0), ("pre-trained", 0.5), ("pre-trained", 2.0), ("aligned", 1.0),
    ]  # fmt: skip
    cold = found.curve[0]
    assert cold.temperature == 0.5
    records = read_records(tmp_path / "pre-trained/temperature-0.5/samples")
    by_prompt = {}
    for row in records:
        by_prompt.setdefault(row["prompt_id"], []).append(row["score"])
    assert cold.values[JUDGE].value == pytest.approx(
        np.mean([np.mean(scores) for scores in by_prompt.values()])
    )
    measures = {name.split("/")[0]: value for name, value in cold.values.items()}
    assert measures.keys() == {"judge", "auto-bleu", "ppl", "empty", "self-bleu", "vert"}
    assert measures["vert"].value == pytest.approx(vert([row["text"] for row in records]))
    # the main table has what it had before: no further rows, no further metrics
    assert {m.system for m in results.results} == {"pre-trained", "aligned"}
    assert [m.metric for m in results.results if m.system == "aligned"] == results.settings[
        "metrics"
    ]
    main = next(p for p in found.curve if p.temperature == 1.0)
    assert main.values[JUDGE].value == results.find("pre-trained", JUDGE).value


def test_a_twin_of_the_baseline_gains_nothing_at_its_own_temperature(tmp_path):
    found = evaluate(tmp_path, models()).frontier
    assert [gain.diversity.split("/")[0] for gain in found.gains] == ["auto-bleu", "vert"]
    same = next(c for c in found.comparisons if c.against == 1.0)
    assert (same.difference, same.p_value, same.n) == (0.0, 1.0, 6)
    heights = {point.temperature: point.values[JUDGE].value for point in found.curve}
    best = max(heights, key=heights.__getitem__)
    assert [c.against for c in found.comparisons if c.best] == [best]
    assert found.against_best(JUDGE, "aligned", 1.0).difference == pytest.approx(
        heights[1.0] - heights[best]
    )


def test_nothing_is_drawn_twice_and_a_new_temperature_is_added(tmp_path):
    first = evaluate(tmp_path, models())
    assert read_results(tmp_path / "results.json").to_dict() == first.to_dict()
    again = models()
    assert evaluate(tmp_path, again).frontier == first.frontier
    assert [slm.drawn for slm in again.values()] == [[], []]
    more = models()
    added = evaluate(tmp_path, more, temperatures=(0.5, 2.0, 0.8)).frontier
    assert set(more["pre-trained"].drawn) == {0.8}
    assert more["aligned"].drawn == []
    assert [p.temperature for p in added.curve] == [0.5, 0.8, 1.0, 2.0]
    # a shard that a killed run did not write is made again, and the figures are the same
    (tmp_path / "pre-trained/temperature-0.5/samples/shard-00000.parquet").unlink()
    torn = models()
    assert evaluate(tmp_path, torn).frontier == first.frontier
    assert set(torn["pre-trained"].drawn) == {0.5}


def test_all_systems_may_be_swept(tmp_path):
    found = evaluate(tmp_path, models(), frontier="all").frontier
    assert [p.temperature for p in found.points if p.system == "aligned"] == [1.0, 0.5, 2.0]
    # three points of one system against two measures
    assert len(found.gains) == 6
    # a point of the curve is never above it; where the curve bends back, it may be below
    assert all(gain.difference < 1e-9 for gain in found.gains)
    assert all(gain.outside == "" for gain in found.gains)


def test_the_temperature_of_the_main_table_is_not_sampled_twice(tmp_path):
    systems = models()
    evaluate(tmp_path, systems, temperatures=(1.0, 0.5))
    assert sorted(set(systems["pre-trained"].drawn)) == [0.5, 1.0]
    assert not (tmp_path / "pre-trained/temperature-1").exists()


def test_without_further_temperatures_there_is_no_frontier(tmp_path):
    results = evaluate(tmp_path, models(), temperatures=())
    assert results.frontier is None
    assert not (tmp_path / "frontier-items.jsonl").exists()
    assert "Across temperatures" not in (tmp_path / "table.md").read_text()


@pytest.mark.parametrize("temperatures", [(0.0,), (0.5, 0.5), (float("nan"),)])
def test_impossible_temperatures_are_refused_before_any_work(tmp_path, temperatures):
    systems = models()
    with pytest.raises(EvaluationError, match="temperatures are"):
        evaluate(tmp_path, systems, temperatures=temperatures)
    assert systems["pre-trained"].drawn == []


def test_files_from_before_there_was_a_frontier_are_read(tmp_path):
    evaluate(tmp_path, models())
    path = tmp_path / "results.json"
    data = json.loads(path.read_text())
    del data["frontier"]
    for item in data["comparisons"]:
        del item["p_holm_column"]
    path.write_text(json.dumps(data))
    old = read_results(path)
    assert old.frontier is None
    assert {item.p_holm_column for item in old.comparisons} == {None}
    regenerate_tables(tmp_path)


def test_a_damaged_frontier_is_named(tmp_path):
    evaluate(tmp_path, models())
    path = tmp_path / "results.json"
    data = json.loads(path.read_text())
    del data["frontier"]["gains"][0]["outside"]
    path.write_text(json.dumps(data))
    with pytest.raises(EvaluationError, match=r"results\.json cannot be read"):
        read_results(path)


def test_the_table_shows_points_and_gains(tmp_path):
    results = evaluate(tmp_path, models())
    text = (tmp_path / "table.md").read_text()
    assert "## Across temperatures" in text
    cold = results.frontier.curve[0].values[JUDGE].value
    assert f"| pre-trained, T 0.5 | {cold:.2f} ±" in text
    assert "*Judge score: against the curve of pre-trained at equal VERT*" in text
    assert ", its best*" in text
    assert r"\begin{tabular}" in (tmp_path / "frontier.tex").read_text()
    items = read_items(tmp_path / "frontier-items.jsonl")
    assert {item.system for item in items} == {
        "pre-trained/temperature-0.5", "pre-trained/temperature-1", "pre-trained/temperature-2",
        "aligned/temperature-1",
    }  # fmt: skip


def at(system, temperature, scores, repeats):
    """One sample per prompt; None where the judge abstained."""
    rows = {JUDGE: scores, BLEU: repeats}
    items = {
        name: [Item(f"{p}-0", system, name, value, p) for p, value in known.items()]
        for name, known in rows.items()
    }
    return AtTemperature(system, temperature, items)


def frontier(*points):
    return make_frontier(
        points, {JUDGE: "mean", BLEU: "mean"}, [BLEU], baseline="base", temperature=1.0, seed=0
    )


def test_prompts_without_a_score_anywhere_are_left_out_of_a_gain():
    cold = at("base", 0.5, {"p": 4.0, "q": 3.0, "r": 5.0}, {"p": 0.2, "q": 0.2, "r": 0.2})
    hot = at("base", 1.0, {"p": 2.0, "q": 1.0, "r": None}, {"p": 0.1, "q": 0.1, "r": 0.1})
    own = at("new", 1.0, {"p": 4.0, "q": 2.0, "r": 1.0}, {"p": 0.15, "q": 0.15, "r": 0.15})
    found = frontier(hot, cold, own)
    (gain,) = found.gains
    # p and q: the curve goes from 1.5 at .1 to 3.5 at .2, so that it has 2.5 at .15; own 3.0
    assert (gain.n, gain.outside) == (2, "")
    assert (gain.curve, gain.difference) == (pytest.approx(2.5), pytest.approx(0.5))
    # at 0.5 all three are compared: 7/3 - 4; at 1 only two: 3 - 1.5
    assert [(c.against, c.best, c.n) for c in found.comparisons] == [
        (0.5, True, 3),
        (1.0, False, 2),
    ]
    assert [c.difference for c in found.comparisons] == [pytest.approx(7 / 3 - 4), 1.5]


def test_holm_is_over_the_systems_of_one_score_and_measure():
    prompts = [f"p{n}" for n in range(6)]
    flat = dict.fromkeys(prompts, 0.1)
    base = at("base", 1.0, dict.fromkeys(prompts, 3.0), flat)
    found = frontier(
        base,
        at("one", 1.0, dict.fromkeys(prompts, 4.0), flat),
        at("two", 1.0, {**dict.fromkeys(prompts, 4.0), "p5": 3.0}, flat),
    )
    # six and five equal differences: 2/64 and 2/32; doubled, and not below the first
    assert [c.p_value for c in found.comparisons] == [2 / 64, 2 / 32]
    assert [c.p_holm for c in found.comparisons] == [4 / 64, 4 / 64]
    assert {gain.p_holm >= gain.p_value for gain in found.gains} == {True}


def test_a_judge_that_says_nothing_leaves_no_gain():
    silent = {"p": None, "q": None}
    repeats = {"p": 0.1, "q": 0.1}
    found = frontier(at("base", 1.0, silent, repeats), at("new", 1.0, silent, repeats))
    assert (found.gains, found.comparisons) == ([], [])
    assert [set(point.values) for point in found.points] == [{BLEU}, {BLEU}]
    with pytest.raises(EvaluationError, match="no temperature"):
        frontier(replace(at("base", 1.0, silent, repeats), system="other"))


def test_seeds_are_pooled_prompt_by_prompt(tmp_path):
    runs = [tmp_path / "one", tmp_path / "two"]
    found = [evaluate(run, models(), seed=seed).frontier for seed, run in enumerate(runs, 1)]
    regenerate_tables(runs, out=tmp_path / "pooled")
    pooled = read_results(tmp_path / "pooled/results.json").frontier
    # as many samples of each prompt in both runs: the mean of means
    for mine, (one, two) in zip(
        pooled.curve, zip(*(f.curve for f in found), strict=True), strict=True
    ):
        expected = (one.values[JUDGE].value + two.values[JUDGE].value) / 2
        assert mine.values[JUDGE].value == pytest.approx(expected)
        assert (mine.values[JUDGE].n, mine.temperature) == (24, one.temperature)
    assert [gain.n for gain in pooled.gains] == [6, 6]
    best = [c.difference for c in pooled.comparisons if c.against == 2.0]
    each = [c.difference for f in found for c in f.comparisons if c.against == 2.0]
    assert best == [pytest.approx(np.mean(each))]
    assert "Across temperatures" in (tmp_path / "pooled/table.md").read_text()


def test_seeds_at_other_temperatures_are_not_pooled(tmp_path):
    evaluate(tmp_path / "one", models(), seed=1)
    evaluate(tmp_path / "two", models(), seed=2, temperatures=(0.5,))
    with pytest.raises(EvaluationError, match="same temperatures"):
        regenerate_tables([tmp_path / "one", tmp_path / "two"], out=tmp_path / "pooled")
    evaluate(tmp_path / "two", models(), seed=2, temperatures=())
    regenerate_tables([tmp_path / "one", tmp_path / "two"], out=tmp_path / "pooled")
    assert read_results(tmp_path / "pooled/results.json").frontier is None
