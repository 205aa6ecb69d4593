"""Whole evaluations with toy speech: paired, resumable, and written down."""

from __future__ import annotations

import csv
import json
import math

import numpy as np
import pytest
from evaluation_fakes import UnigramSLM, melody, run_evaluation, write_stories

from orality.audio import read_audio
from orality.errors import EvaluationError, StoreError
from orality.evaluation.benchmarks.find import find_benchmark
from orality.evaluation.continuations.sample import EvaluationPrompt
from orality.evaluation.evaluate import SystemInfo
from orality.evaluation.results import read_items, read_results
from orality.feedback.auto_bleu import auto_bleu
from orality.store import Run, read_records
from orality.testing.tones import ToneTokenizer, ToneTranscriber, ToneVocoder, VowelJudge
from orality.types import UnitSpec, Verdict


@pytest.fixture
def stories(tmp_path):
    rng = np.random.default_rng(0)
    pairs = []
    for number in range(24):
        low, high = rng.permutation(9)[:5] + 1, rng.permutation(9)[:5] + 10
        pairs.append((melody(*low), melody(*high)) if number % 4 else (melody(*high), melody(*low)))
    return find_benchmark(write_stories(tmp_path / "stories", pairs), name="T-StoryCloze")


PROMPTS = [EvaluationPrompt(f"p{n}", melody(1, n + 2, 1), "a b") for n in range(10)]


def evaluate(tmp_path, stories, systems=None, build=None, **changes):
    systems = systems or {"pre-trained": UnigramSLM(0.1), "round 1": UnigramSLM(-0.1)}
    arguments = {
        "systems": build or {name: (lambda slm=slm: slm) for name, slm in systems.items()},
        "tokenizer": ToneTokenizer(),
        "vocoder": ToneVocoder(),
        "transcriber": ToneTranscriber(),
        "judge": VowelJudge(),
        "benchmarks": {"T-StoryCloze": stories},
        "prompts": PROMPTS,
        "samples_per_prompt": 2,
        "max_new_units": 12,
        "seed": 1,
        "out": tmp_path / "evaluation",
        "baseline": "pre-trained",
        "judge_name": "toy",
        "transcriber_name": "tones",
        "scale": (1.0, 5.0),
        **changes,
    }
    return run_evaluation(**arguments)


def test_figures_are_what_the_items_say(tmp_path, stories):
    results = evaluate(tmp_path, stories)
    assert [m.metric for m in results.results if m.system == "round 1"] == [
        "t-storycloze/mean", "judge/toy/tones", "auto-bleu/align-slm/tones",
        "ppl/toy/tones/cond/exp-mean", "empty/tones",
    ]  # fmt: skip
    # the model likes low tones; so do three of four stories
    assert results.find("pre-trained", "t-storycloze/mean").value == 0.75
    assert results.find("round 1", "t-storycloze/mean").value == 0.25
    items = read_items(tmp_path / "evaluation" / "items.jsonl")
    for metric in results.results:
        values = [i.value for i in items if (i.system, i.metric) == (metric.system, metric.metric)]
        assert metric.n == len(values)
        if metric.metric.startswith("ppl"):
            expected = math.exp(np.mean(np.log(values)))
        else:
            expected = np.mean(values)
        assert metric.value == pytest.approx(expected)
        assert metric.ci.low <= metric.value <= metric.ci.high
    assert read_results(tmp_path / "evaluation" / "results.json").to_dict() == results.to_dict()


def test_samples_are_kept_with_their_sound(tmp_path, stories):
    evaluate(tmp_path, stories)
    out = tmp_path / "evaluation"
    samples = read_records(out / "round 1" / "samples")
    assert [row["id"] for row in samples][:3] == ["p0-0", "p0-1", "p1-0"]
    for row in samples:
        (heard,) = ToneTokenizer().encode([read_audio(out / row["audio"])])
        (text,) = (t.text for t in ToneTranscriber().transcribe([read_audio(out / row["audio"])]))
        assert len(heard) > 0
        assert row["text"] == text
        assert row["auto_bleu"] == auto_bleu(text)
        assert row["perplexity"] == json.loads(row["metrics"])["perplexity"]


def test_systems_draw_with_the_same_seeds(tmp_path, stories):
    evaluate(tmp_path, stories, {"pre-trained": UnigramSLM(0.2), "copy": UnigramSLM(0.2)})
    out = tmp_path / "evaluation"
    first, second = (read_records(out / n / "samples") for n in ("pre-trained", "copy"))
    assert [row["units"] for row in first] == [row["units"] for row in second]
    tests = read_results(out / "results.json").comparisons
    assert {(c.difference, c.p_value) for c in tests} == {(0.0, 1.0)}


def test_a_finished_evaluation_builds_no_model_and_changes_nothing(tmp_path, stories):
    first = evaluate(tmp_path, stories)
    files = {p: p.read_bytes() for p in (tmp_path / "evaluation").rglob("*") if p.is_file()}

    def never():
        raise AssertionError("nothing is left to do")

    again = evaluate(tmp_path, stories, build={"pre-trained": never, "round 1": never})
    assert again.to_dict() == first.to_dict()
    assert {p: p.read_bytes() for p in files} == files


@pytest.mark.parametrize("kills", range(1, 8))
def test_a_killed_evaluation_resumes_with_the_same_results(tmp_path, stories, kills):
    class Killed(BaseException):
        pass

    class Mortal(UnigramSLM):
        left = kills

        def log_likelihood(self, batch, *, convention="no_bos"):
            self.step()
            return super().log_likelihood(batch, convention=convention)

        def generate(self, prompts, **options):
            self.step()
            return super().generate(prompts, **options)

        def step(self):
            Mortal.left -= 1
            if Mortal.left == 0:
                raise Killed

    systems = {"pre-trained": Mortal(0.1), "round 1": Mortal(-0.1)}
    try:
        evaluate(tmp_path, stories, systems)
        survived = True
    except Killed:
        survived = False
    assert survived == (kills > 6)  # each system: one batch of pairs, two of prompts
    resumed = evaluate(tmp_path, stories, systems)
    whole = evaluate(tmp_path, stories, out=tmp_path / "whole")
    assert resumed.to_dict() == whole.to_dict()
    assert systems["pre-trained"].scored == systems["round 1"].scored == 48
    assert systems["pre-trained"].drawn == systems["round 1"].drawn == 10


def test_a_later_system_joins_without_repeating_the_others(tmp_path, stories):
    first = UnigramSLM(0.1)
    evaluate(tmp_path, stories, {"pre-trained": first})
    results = evaluate(tmp_path, stories, {
        "pre-trained": first, "round 1": UnigramSLM(0.0), "round 2": UnigramSLM(-0.1),
    })  # fmt: skip
    assert (first.scored, first.drawn) == (48, 10)
    tested = [(c.a, c.b) for c in results.comparisons if c.metric == "t-storycloze/mean"]
    assert tested == [
        ("round 1", "pre-trained"), ("round 2", "pre-trained"), ("round 2", "round 1"),
    ]  # fmt: skip


def test_comparisons_are_paired_and_corrected(tmp_path, stories):
    results = evaluate(tmp_path, stories)
    test = results.compare("t-storycloze/mean", "round 1", "pre-trained")
    # all 24 pairs change sides: 18 losses, 6 wins
    assert (test.difference, test.n, test.test) == (-0.5, 24, "mcnemar-exact")
    expected = 2 * sum(math.comb(24, k) for k in range(7)) / 2**24
    assert test.p_value == pytest.approx(expected)
    assert test.p_holm >= test.p_value
    judged = results.compare("judge/toy/tones", "round 1", "pre-trained")
    assert (judged.n, judged.test) == (10, "paired-permutation")  # prompts, not samples
    lists = [c.p_value for c in results.comparisons]
    smallest = min(results.comparisons, key=lambda c: c.p_value)
    assert smallest.p_holm == pytest.approx(min(1.0, len(lists) * smallest.p_value))


def test_tables_are_written(tmp_path, stories):
    results = evaluate(tmp_path, stories)
    out = tmp_path / "evaluation"
    lines = (out / "table.md").read_text().splitlines()
    assert lines[0] == (
        "| System | T-StoryCloze ↑ | Judge score ↑ | Auto-BLEU ↓ | PPL ↓ | Empty ↓ |"
    )
    # 18 of 24 against 6 has p = 0.02, which does not survive correction for five metrics
    assert lines[2].startswith("| pre-trained | 75.0 ±")
    assert results.compare("t-storycloze/mean", "round 1", "pre-trained").p_holm > 0.05
    rows = list(csv.DictReader((out / "table.csv").open()))
    assert len(rows) == len(results.results)
    assert float(rows[0]["value"]) == 0.75
    assert r"\toprule" in (out / "table.tex").read_text()


def test_settings_say_how_it_was_done(tmp_path, stories):
    results = evaluate(
        tmp_path, stories, recipe="toy", details={"orality": "0"},
        info={"round 1": SystemInfo("after DPO", "round-1/adapter", "abc")},
    )  # fmt: skip
    assert results.settings["benchmarks"]["T-StoryCloze"]["pairs"] == 24
    assert results.settings["continuations"]["judge"] == "toy"
    assert results.settings["orality"] == "0"
    assert (results.recipe, results.systems[1].adapter) == ("toy", "round-1/adapter")


def test_other_weights_under_the_same_name_are_refused(tmp_path, stories):
    evaluate(tmp_path, stories, info={"round 1": SystemInfo(fingerprint="a")})
    with pytest.raises(EvaluationError, match=r"other settings: system \(a there\)"):
        evaluate(tmp_path, stories, info={"round 1": SystemInfo(fingerprint="b")})


def test_other_sampling_in_the_same_folder_is_refused(tmp_path, stories):
    evaluate(tmp_path, stories)
    with pytest.raises(EvaluationError, match="other settings: max_new_units"):
        evaluate(tmp_path, stories, max_new_units=13)
    with pytest.raises(EvaluationError, match="other settings: prompts"):
        evaluate(tmp_path, stories, prompts=PROMPTS[:3])


def test_a_larger_limit_adds_pairs_only(tmp_path, stories):
    slm = UnigramSLM()
    evaluate(tmp_path, stories, {"pre-trained": slm}, limit=10, prompts=[])
    assert slm.scored == 20
    results = evaluate(tmp_path, stories, {"pre-trained": slm}, limit=16, prompts=[])
    assert slm.scored == 32
    assert results.results[0].n == 16


def test_a_sum_uses_the_same_likelihoods_under_another_id(tmp_path, stories):
    slm = UnigramSLM()
    evaluate(tmp_path, stories, {"pre-trained": slm}, prompts=[])
    results = evaluate(tmp_path, stories, {"pre-trained": slm}, prompts=[], normalize="sum")
    assert slm.scored == 48
    assert results.results[0].metric == "t-storycloze/sum"
    other = evaluate(tmp_path, stories, {"pre-trained": slm}, prompts=[], convention="bos_eos")
    assert slm.scored == 96
    assert other.results[0].metric == "t-storycloze/mean/bos_eos"


class UnitJudge:
    """Likes variety; abstains from what it has heard too often."""

    def score(self, requests):
        for request in requests:
            assert request.continuation_text is None
        return [
            Verdict(float(len(set(r.continuation_units.ids.tolist()))))
            if r.id != "p0-0"
            else Verdict(None, "cannot tell")
            for r in requests
        ]


def test_a_judge_of_units_needs_no_text(tmp_path, stories):
    results = evaluate(
        tmp_path, stories, judge=UnitJudge(), reads=frozenset({"units"}), transcriber=None,
        vocoder=None, scale=(0.0, 99.0), benchmarks={},
    )  # fmt: skip
    found = results.find("round 1", "judge/toy")
    assert (found.n, found.n_failed) == (19, 1)
    samples = read_records(tmp_path / "evaluation" / "round 1" / "samples")
    assert all(row["text"] is None and row["audio"] is None for row in samples)
    repeated = results.find("round 1", "auto-bleu/align-slm/units")
    assert repeated.value == pytest.approx(np.mean([auto_bleu(row["units"]) for row in samples]))
    assert results.find("round 1", "ppl/toy/units/cond/exp-mean") is None
    items = read_items(tmp_path / "evaluation" / "items.jsonl")
    failed = [item for item in items if item.value is None]
    assert {item.details["error"] for item in failed} == {"cannot tell"}


def test_silence_is_counted(tmp_path, stories):
    results = evaluate(
        tmp_path, stories, {"pre-trained": UnigramSLM(), "silent": UnigramSLM(50.0)}, benchmarks={}
    )
    assert results.find("silent", "empty/tones").value == 1.0
    assert results.find("pre-trained", "empty/tones").value == 0.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"baseline": "nobody"}, "the baseline 'nobody' is none of the systems pre-trained"),
        ({"judge": None}, "need a setup"),
        ({"transcriber": None}, "reads text, which needs a transcriber"),
        ({"vocoder": None}, "needs a vocoder"),
        ({"reads": frozenset({"audio"})}, "prompts p0, p1, p2 have no audio"),
        ({"prompts": [PROMPTS[0], PROMPTS[0]]}, "two prompts share an id"),
        ({"prompts": [EvaluationPrompt("x", melody(), "")]}, "prompts x have no units"),
        ({"convention": "bos"}, "one of no_bos, bos_eos, got 'bos'"),
        ({"normalize": "median"}, "one of mean, sum, got 'median'"),
        ({"samples_per_prompt": 0}, "at least one sample"),
    ],
)
def test_what_cannot_work_is_said_before_any_work(tmp_path, stories, changes, message):
    slm = UnigramSLM()
    with pytest.raises(EvaluationError, match=message):
        evaluate(tmp_path, stories, {"pre-trained": slm}, **changes)
    assert slm.scored == slm.drawn == 0


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden", "x "])
def test_a_system_name_must_be_a_folder_name(tmp_path, stories, name):
    with pytest.raises(EvaluationError, match="becomes a folder's"):
        evaluate(tmp_path, stories, {name: UnigramSLM()}, baseline=name)


def test_a_model_of_other_units_is_refused(tmp_path, stories):
    class Other(UnigramSLM):
        unit_spec = UnitSpec("other-tones", 20, 25.0)

    with pytest.raises(EvaluationError, match="system 'pre-trained' models other-tones"):
        evaluate(tmp_path, stories, {"pre-trained": Other()})


def test_two_evaluations_of_one_folder_exclude_each_other(tmp_path, stories):
    with Run(tmp_path / "evaluation").lock(), pytest.raises(StoreError, match="another process"):
        evaluate(tmp_path, stories)
