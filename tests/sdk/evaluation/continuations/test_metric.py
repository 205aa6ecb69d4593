"""Metrics of continuations chosen by name: their ids, their figures, what fails, what is kept."""

from __future__ import annotations

import importlib.util
import json
import math

import numpy as np
import pytest
from evaluation_fakes import UnigramSLM, melody, run_evaluation

from orality.audio import write_audio
from orality.errors import EvaluationError, JudgeError, RecipeError
from orality.evaluation import (
    EvaluationPrompt,
    GenerationMetric,
    Observation,
    SamplingSetup,
    Spoken,
    check_metrics,
    further_judges,
    generation_metrics,
    self_bleus,
    sweep_temperatures,
    vert,
)
from orality.evaluation.continuations.audio_metrics import opinion, pitch_spread, same_pitch
from orality.evaluation.continuations.metric import Names, diversity, judged_perplexity
from orality.evaluation.continuations.observe import observe
from orality.evaluation.continuations.summarize import summarize
from orality.evaluation.results import Item, read_items
from orality.evaluation.tables.columns import columns
from orality.feedback import ConfiguredJudge
from orality.recipe import Recipe
from orality.store import read_records
from orality.testing.tones import ToneTokenizer, ToneTranscriber, ToneVocoder, VowelJudge, whistle
from orality.types import Verdict

NAMES = Names("toy", "tones")


def record(number, text="a b", **changes):
    return {
        "id": f"p{number // 2}-{number % 2}", "prompt_id": f"p{number // 2}", "units": [1, 2],
        "text": text, "audio": None, "score": 3.0, "perplexity": 4.0, "rationale": "",
        "metrics": json.dumps({"tokens": 2.0}), **changes,
    }  # fmt: skip


def spoken(samples, tmp_path, prompts=None):
    prompts = prompts or [EvaluationPrompt(f"p{n}", melody(1), "x y") for n in range(9)]
    return Spoken(samples, {prompt.id: prompt for prompt in prompts}, tmp_path)


def items(values, metric="m", details=None):
    details = details or [{}] * len(values)
    return [
        Item(f"i{n}", "s", metric, value, f"c{n // 2}", detail)
        for n, (value, detail) in enumerate(zip(values, details, strict=True))
    ]


def test_ids_say_variant_and_models():
    metrics = generation_metrics(
        [
            "judge", "auto-bleu", "ppl", "empty", "self-bleu", "vert",
            {"name": "auto-bleu", "variant": "gslm"},
            {"name": "ppl", "aggregation": "median-exp"},
            {"name": "vert", "limit": None},
        ],
        judge="likelihood",
        transcriber="moonshine",
    )  # fmt: skip
    assert [metric.id for metric in metrics] == [
        "judge/likelihood/moonshine",
        "auto-bleu/align-slm/moonshine",
        "ppl/likelihood/moonshine/cond/exp-mean",
        "empty/moonshine",
        "self-bleu/bleu2-geometric/first-1000/moonshine",
        "vert/bleu2-geometric/first-1000/moonshine",
        "auto-bleu/gslm/moonshine",
        "ppl/likelihood/moonshine/cond/median-exp",
        "vert/bleu2-geometric/all/moonshine",
    ]


def test_units_are_counted_where_nothing_transcribes():
    found = generation_metrics(["auto-bleu", "empty", "vert"], transcriber=None)
    assert [m.id for m in found] == [
        "auto-bleu/align-slm/units", "empty/units", "vert/bleu2-geometric/first-1000/units",
    ]  # fmt: skip


def test_models_in_folders_are_named_in_ids(tmp_path):
    (tmp_path / "mistral-7b").mkdir()
    (tmp_path / "ckpt.pt").touch()
    found = generation_metrics(
        [
            {"name": "ppl", "model": str(tmp_path / "mistral-7b"), "conditional": False},
            {"name": "speaker-similarity", "model": str(tmp_path / "mistral-7b")},
            {"name": "ssl-mos", "checkpoint": str(tmp_path / "ckpt.pt")},
        ],
        transcriber="asr",
    )
    assert [m.id for m in found] == [
        "ppl/mistral-7b/asr/uncond/exp-mean", "sim/mistral-7b", "mos/ssl-mos/ckpt",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (["bleu"], "bleu: there is no such metric; choose from 'judge', 'auto-bleu'"),
        ([{"variant": "gslm"}], "None: "),
        ([{"name": "auto-bleu", "variant": "x"}], "auto-bleu: variant: input should be"),
        ([{"name": "vert", "limit": 1}], "vert: limit: input should be greater"),
        ([{"name": "judge", "n": 1}], "judge: n: unknown setting"),
        (["judge", "judge"], "judge/judge/transcriber is asked for twice"),
        ([{"name": "ppl", "model": "/nowhere"}], "ppl: model: path does not point to a dir"),
        ([{"name": "ppl", "conditional": False}], "needs a model of its own"),
        ([{"name": "ssl-mos", "checkpoint": "/nowhere"}], "ssl-mos: checkpoint"),
    ],
)
def test_mistakes_are_told_before_any_work(chosen, message):
    with pytest.raises(EvaluationError, match=message):
        generation_metrics(chosen)


def test_all_mistakes_are_told_at_once():
    with pytest.raises(EvaluationError, match="one: .*; two: "):
        generation_metrics(["one", "two"])


def test_a_metric_that_listens_needs_a_voice_and_its_packages(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EvaluationError, match="dnsmos listens, which needs a vocoder") as error:
        generation_metrics(["dnsmos"], spoken=False)
    assert "dnsmos needs onnxruntime, speechmos: pip install 'orality[mos]'" in str(error.value)


def test_vert_is_the_corpus_metric(tmp_path):
    texts = ["a b a b", "a b c", "x y x y", "a b"]
    seen = spoken([record(n, text) for n, text in enumerate(texts)], tmp_path)
    found = summarize(observe(diversity(NAMES), seen, "s", None), "vert", seed=0)
    assert found.metric.value == pytest.approx(vert(texts))
    assert found.metric.ci.low <= found.metric.value <= found.metric.ci.high
    assert found.means == {}  # no paired test of what is no mean


def test_samples_beyond_the_limit_fail_by_that_name(tmp_path):
    seen = spoken([record(n) for n in range(4)], tmp_path)
    found = observe(diversity(NAMES, limit=3), seen, "s", None)
    assert [item.value is None for item in found] == [False, False, False, True]
    assert found[3].details["error"] == "beyond the first 3 samples"


def test_self_bleu_s_items_are_its_texts(tmp_path):
    texts = ["a b", "c d", "a b"]
    (metric,) = generation_metrics(["self-bleu"])
    seen = spoken([record(n, text) for n, text in enumerate(texts)], tmp_path)
    assert [item.value for item in observe(metric, seen, "s", None)] == self_bleus(texts)


@pytest.mark.parametrize(
    ("aggregation", "value"),
    [("exp-mean", 4.0), ("mean-exp", 5.0), ("median-exp", 5.0), ("token-mean", 2 ** (5 / 3))],
)
def test_the_judge_s_perplexity_is_averaged_as_its_id_says(tmp_path, aggregation, value):
    rows = [
        record(0, perplexity=2.0, metrics='{"tokens": 2}'),
        record(2, perplexity=8.0, metrics='{"tokens": 1}'),
        record(4, perplexity=None, rationale="nothing was said"),
    ]
    metric = judged_perplexity(NAMES, aggregation)
    found = summarize(observe(metric, spoken(rows, tmp_path), "s", None), metric.summary, seed=0)
    assert found.metric.value == pytest.approx(value)
    assert (found.metric.n, found.metric.n_failed) == (2, 1)


def test_tokens_the_judge_does_not_count_are_missed(tmp_path):
    metric = judged_perplexity(NAMES, "token-mean")
    (item,) = observe(metric, spoken([record(0, metrics="{}")], tmp_path), "s", None)
    assert item.value is None
    assert "how many tokens" in item.details["error"]


def test_corpus_figures_by_hand():
    sums = [
        {"count": 2.0, "sum": 4.0, "squares": 10.0},
        {"count": 1.0, "sum": 8.0, "squares": 64.0},
    ]
    spread = summarize(items([1.0, 0.0], details=sums), "std", seed=0).metric
    assert spread.value == pytest.approx(math.sqrt(74 / 3 - 16))
    before = [{"prompt": 100.0}, {"prompt": 200.0}, {"prompt": 300.0}]
    alike = summarize(items([110.0, 130.0, 120.0], details=before), "pearson", seed=0).metric
    assert alike.value == pytest.approx(0.5)
    assert summarize(items([1.0, 1.0], details=before[:2]), "pearson", seed=0) is None
    assert summarize(items([None, None]), "std", seed=0) is None


def test_intervals_of_corpus_figures_cover_the_truth():
    rng, inside = np.random.default_rng(0), 0
    for _ in range(100):
        draws = rng.normal(5.0, 2.0, size=(40, 3))
        details = [
            {"count": 3.0, "sum": float(row.sum()), "squares": float((row**2).sum())}
            for row in draws
        ]
        found = summarize(items([1.0] * 40, details=details), "std", seed=1).metric.ci
        inside += found.low <= 2.0 <= found.high
    assert 87 <= inside <= 100


def test_observations_that_took_long_are_kept_and_failures_tried_again(tmp_path):
    asked = []

    def measure(seen):
        asked.append([row["id"] for row in seen.samples])
        return [
            Observation.failed("busy") if row["text"] == "later" and len(asked) == 1
            else Observation(float(len(row["text"])))
            for row in seen.samples
        ]  # fmt: skip

    metric = GenerationMetric("slow/model", measure, stored=True)
    rows = [record(0, "a"), record(1, "later"), record(2, "ccc")]
    first = observe(metric, spoken(rows, tmp_path), "s", "w")
    assert [item.value for item in first] == [1.0, None, 3.0]
    again = observe(metric, spoken(rows, tmp_path), "s", "w")
    assert [item.value for item in again] == [1.0, 5.0, 3.0]
    changed = [record(0, "aa"), *rows[1:]]
    assert observe(metric, spoken(changed, tmp_path), "s", "w")[0].value == 2.0
    assert asked == [["p0-0", "p0-1", "p1-0"], ["p0-1"], ["p0-0"]]
    with pytest.raises(EvaluationError, match="made with other settings: system"):
        observe(metric, spoken(rows, tmp_path), "s", "other weights")


def test_a_metric_that_miscounts_or_finds_no_number_is_noticed(tmp_path):
    seen = spoken([record(0), record(1)], tmp_path)
    with pytest.raises(EvaluationError, match="gave 1 observations of 2 samples"):
        observe(GenerationMetric("m", lambda seen: [Observation(1.0)]), seen, "s", None)
    odd = GenerationMetric("m", lambda seen: [Observation(math.nan), Observation(1.0)])
    assert observe(odd, seen, "s", None)[0].details["error"] == "the value nan is no finite number"


def test_what_cannot_be_heard_fails_alone(tmp_path):
    write_audio(tmp_path / "a.flac", whistle(melody(1, 2)))
    rows = [record(0, audio="a.flac"), record(1), record(2, audio="gone.flac")]
    metric = opinion("mos/fake", lambda: lambda waveform: Observation(waveform.duration))
    found = observe(metric, spoken(rows, tmp_path), "s", None)
    assert found[0].value > 0
    assert found[1].details["error"] == "no sound"
    assert "gone.flac" in found[2].details["error"]


def test_pitch_follows_the_prompt(tmp_path, monkeypatch):
    from orality.evaluation.metrics import f0

    # The samples' mean stands for F0; the third continuation is unvoiced.
    heard = {10: [0.0, 100.0], 20: [200.0], 11: [120.0, 140.0], 21: [260.0], 31: [0.0]}
    monkeypatch.setattr(f0, "f0_of", lambda w: np.array(heard[len(w.samples)]))
    prompts = []
    for number, size in enumerate((10, 20, 20)):
        path = tmp_path / f"p{number}.wav"
        write_audio(path, whistle(melody(1)).__class__(np.zeros(size, np.float32), 16_000))
        prompts.append(EvaluationPrompt(f"p{number}", melody(1), "", audio=path))
    rows = []
    for number, size in enumerate((11, 21, 31)):
        name = f"c{number}.wav"
        write_audio(
            tmp_path / name, whistle(melody(1)).__class__(np.zeros(size, np.float32), 16_000)
        )
        rows.append(record(2 * number, audio=name))
    seen = spoken(rows, tmp_path, prompts)
    found = observe(same_pitch(), seen, "s", None)
    assert [(item.value, item.details.get("prompt")) for item in found] == [
        (130.0, 100.0), (260.0, 200.0), (None, None),
    ]  # fmt: skip
    assert summarize(found, "pearson", seed=0).metric.value == pytest.approx(1.0)
    spread = summarize(observe(pitch_spread(), seen, "s", None), "std", seed=0).metric
    assert spread.value == pytest.approx(np.std([120.0, 140.0, 260.0]))


PROMPTS = [EvaluationPrompt(f"p{n}", melody(1, n + 2, 1), "a b") for n in range(6)]


def evaluate(out, **changes):
    arguments = {
        "systems": {name: (lambda d=d: UnigramSLM(d)) for name, d in (("a", 0.1), ("b", 0.5))},
        "tokenizer": ToneTokenizer(), "vocoder": ToneVocoder(), "transcriber": ToneTranscriber(),
        "judge": VowelJudge(), "benchmarks": {}, "prompts": PROMPTS, "samples_per_prompt": 2,
        "max_new_units": 12, "out": out, "baseline": "a", "judge_name": "toy",
        "transcriber_name": "tones", "scale": (1.0, 5.0), **changes,
    }  # fmt: skip
    return run_evaluation(**arguments)


def test_an_evaluation_measures_what_it_is_told_over_stored_continuations(tmp_path):
    default = evaluate(tmp_path)
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "a" / "samples").rglob("*")}
    results = evaluate(tmp_path, metrics=["vert", {"name": "auto-bleu", "variant": "gslm"}])
    assert before == {p: p.stat().st_mtime_ns for p in (tmp_path / "a" / "samples").rglob("*")}
    texts = [row["text"] for row in read_records(tmp_path / "a" / "samples")]
    assert results.find("a", "vert/bleu2-geometric/first-1000/tones").value == pytest.approx(
        vert(texts)
    )
    assert results.settings["metrics"] == [
        "vert/bleu2-geometric/first-1000/tones", "auto-bleu/gslm/tones",
    ]  # fmt: skip
    assert results.compare("auto-bleu/gslm/tones", "b", "a") is not None
    assert {item.metric for item in read_items(tmp_path / "items.jsonl")} == set(
        results.settings["metrics"]
    )
    assert [m.metric for m in default.results if m.system == "a"] == [
        "judge/toy/tones", "auto-bleu/align-slm/tones", "ppl/toy/tones/cond/exp-mean",
        "empty/tones",
    ]  # fmt: skip


def test_what_the_stack_loses_is_said_once_for_all_systems(tmp_path):
    prompts = []
    for prompt in PROMPTS[:3]:
        path = tmp_path / f"{prompt.id}.wav"
        write_audio(path, whistle(prompt.units))
        prompts.append(EvaluationPrompt(prompt.id, prompt.units, prompt.text, audio=path))
    prompts.append(EvaluationPrompt("mute", melody(1, 2), ""))
    results = evaluate(tmp_path / "out", prompts=prompts, resynthesis=True)
    found = results.settings["resynthesis"]
    assert found["resynthesis-wer/tones/orality-english"]["micro"] == 0.0
    assert found["resynthesis-cer/tones/orality-english"]["n"] == 3
    assert (found["n_failed"], found["failed"]) == (1, {"mute": "there is no recording"})

    class Deaf(ToneTranscriber):
        def transcribe(self, batch, *, language=None):
            raise AssertionError("all of it was heard before")

    again = evaluate(tmp_path / "out", prompts=prompts, resynthesis=True, transcriber=Deaf())
    assert again.settings["resynthesis"] == found
    with pytest.raises(EvaluationError, match="resynthesis needs prompts, a vocoder"):
        evaluate(tmp_path / "out", prompts=[], resynthesis=True)


def test_a_metric_of_ones_own_is_measured_too(tmp_path):
    length = GenerationMetric(
        "words/tones",
        lambda seen: [Observation(float(len(row["text"].split()))) for row in seen.samples],
    )
    results = evaluate(tmp_path, metrics=["judge", length])
    words = [len(row["text"].split()) for row in read_records(tmp_path / "b" / "samples")]
    assert results.find("b", "words/tones").value == pytest.approx(np.mean(words))
    with pytest.raises(EvaluationError, match="the same id"):
        evaluate(tmp_path, metrics=[length, length])


def test_a_metric_that_failed_everywhere_leaves_its_reasons(tmp_path):
    never = GenerationMetric(
        "odd/m", lambda seen: [Observation.failed("too odd") for _ in seen.samples]
    )
    results = evaluate(tmp_path, metrics=[never])
    assert results.results == []
    reasons = {item.details["error"] for item in read_items(tmp_path / "items.jsonl")}
    assert reasons == {"too odd"}


def test_temperatures_give_points_of_the_trade_off(tmp_path):
    setup = SamplingSetup(
        vocoder=ToneVocoder(), transcriber=ToneTranscriber(), transcriber_name="tones",
        judge=ConfiguredJudge(name="toy", build=VowelJudge, scale=(1.0, 5.0)), max_new_units=12,
    )  # fmt: skip
    slm, options = UnigramSLM(), {"out": tmp_path, "system": "a", "temperatures": (0.5, 1.0)}
    points = sweep_temperatures(lambda: slm, PROMPTS, setup, **options)
    assert [point.temperature for point in points] == [0.5, 1.0]
    texts = [row["text"] for row in read_records(tmp_path / "a/temperature-0.5/samples")]
    assert points[0].vert == pytest.approx(vert(texts))
    drawn = slm.drawn
    assert sweep_temperatures(lambda: slm, PROMPTS, setup, **options) == points
    assert slm.drawn == drawn
    with pytest.raises(EvaluationError, match="above 0"):
        sweep_temperatures(lambda: slm, PROMPTS, setup, **{**options, "temperatures": (0.0,)})


def test_a_recipe_s_metrics_are_checked_and_leave_its_runs_valid():
    recipe = Recipe.load("tiny")
    check_metrics(recipe.resolve())
    data = recipe.model_dump()
    data["evaluation"]["metrics"] = ["judge", {"name": "vert", "limit": 100}]
    data["evaluation"]["resynthesis"] = True
    more = Recipe.parse(data)
    check_metrics(more.resolve())
    assert more.fingerprint == recipe.fingerprint
    data["evaluation"]["metrics"] = ["bleu"]
    with pytest.raises(EvaluationError, match="bleu: there is no such metric"):
        check_metrics(Recipe.parse(data).resolve())
    data["evaluation"]["metrics"] = "judge"
    with pytest.raises(RecipeError, match=r"evaluation\.metrics"):
        Recipe.parse(data)


class LengthJudge:
    def __init__(self):
        self.judged = []

    def score(self, requests):
        self.judged += [request.id for request in requests]
        return [
            Verdict(min(5.0, 1.0 + len(request.continuation_text.split())), "counted")
            if request.id != "p0-0"
            else Verdict(None, "cannot tell")
            for request in requests
        ]


def test_further_judges_score_what_is_stored_once(tmp_path):
    judge = LengthJudge()
    more = {"strict": ConfiguredJudge(name="length", build=lambda: judge, scale=(1.0, 5.0))}
    asked = ["judge", {"name": "judge", "further": "strict"}]
    results = evaluate(tmp_path, metrics=asked, further_judges=more)
    found = results.find("a", "judge/length:strict/tones")
    assert (found.n, found.n_failed) == (11, 1)
    assert len(judge.judged) == 24
    again = evaluate(tmp_path, metrics=asked, further_judges=more)
    assert again.find("a", "judge/length:strict/tones") == found
    assert judge.judged[24:] == ["p0-0", "p0-0"]  # an abstention is asked for again
    with pytest.raises(EvaluationError, match="no further judge 'lenient'; there are: strict"):
        evaluate(tmp_path, metrics=[{"name": "judge", "further": "lenient"}], further_judges=more)


def test_a_further_judge_outside_its_scale_is_an_error(tmp_path):
    more = {"strict": ConfiguredJudge(name="length", build=LengthJudge, scale=(1.0, 2.0))}
    with pytest.raises(JudgeError, match="outside its scale 1 to 2"):
        evaluate(tmp_path, metrics=[{"name": "judge", "further": "strict"}], further_judges=more)


def test_a_further_judge_s_metric_stands_for_its_score(tmp_path):
    class Sure(LengthJudge):
        def score(self, requests):
            return [
                Verdict(2.0, metrics={} if request.id == "p0-0" else {"share": 0.25})
                for request in requests
            ]

    more = {"strict": ConfiguredJudge(name="length", build=Sure, scale=(1.0, 5.0))}
    asked = [
        "judge",
        *({"name": "judge", "further": "strict", **of} for of in ({}, {"of": "share"})),
    ]
    results = evaluate(tmp_path, metrics=asked, further_judges=more)
    found = results.find("a", "verdict/length:strict/share/tones")
    assert (found.value, found.n, found.n_failed) == (0.25, 11, 1)
    named = {column.metric: column.label for column in columns(results)}
    assert [named[metric] for metric in results.settings["metrics"]] == [
        "Judge score", "Judge score (strict)", "Strict: share",
    ]  # fmt: skip
    with pytest.raises(EvaluationError, match="judge: only a further judge's metrics are kept"):
        generation_metrics([{"name": "judge", "of": "share"}])


def test_what_a_judge_of_other_settings_stored_is_refused(tmp_path):
    def by(words):
        judge = ConfiguredJudge(
            name="length", build=LengthJudge, settings={"judge": {"min_words": words}}
        )
        asked = [{"name": "judge", "further": "strict"}]
        return evaluate(tmp_path, metrics=asked, further_judges={"strict": judge})

    by(4)
    by(4)
    with pytest.raises(EvaluationError, match="made with other settings: judge"):
        by(5)


def test_an_evaluation_s_own_judges_are_known_by_label_and_carry_their_settings():
    data = Recipe.load("tiny").model_dump()
    data["further_judges"] = {"other": {"name": "likelihood"}}
    data["evaluation"]["further_judges"] = {"toy": {"name": "toy"}}
    data["evaluation"]["metrics"] = [
        {"name": "judge", "further": label} for label in ("other", "toy")
    ]
    recipe = Recipe.parse(data)
    check_metrics(recipe.resolve())
    found = further_judges(recipe.resolve(), lambda part: part.place)
    assert {label: judge.name for label, judge in found.items()} == {
        "other": "likelihood", "toy": "toy",
    }  # fmt: skip
    assert found["other"].settings == {}
    assert found["toy"].settings == {"judge": {"name": "toy"}}
    assert found["toy"].build() == "evaluation.further_judges.toy"


def test_a_recipe_s_further_judges_are_known_by_label():
    data = Recipe.load("tiny").model_dump()
    data["further_judges"] = {"other": {"name": "likelihood"}}
    data["evaluation"]["metrics"] = [{"name": "judge", "further": "other"}]
    check_metrics(Recipe.parse(data).resolve())
    data["evaluation"]["metrics"] = [{"name": "judge", "further": "another"}]
    with pytest.raises(EvaluationError, match="there are: grammar, other"):
        check_metrics(Recipe.parse(data).resolve())
