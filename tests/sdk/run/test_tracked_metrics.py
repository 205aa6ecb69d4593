from __future__ import annotations

import pytest

from orality.evaluation.results import Metric, Results, System
from orality.evaluation.statistics.intervals import Interval
from orality.feedback import schemas
from orality.run.tracked_metrics import result_figures, yield_figures
from orality.store import write_shard


def test_a_round_s_yields_are_counted_from_what_is_stored(tmp_path):
    drawn = [{"id": f"{p}-{k}", "prompt_id": p} for p in "ab" for k in (0, 1)]
    write_shard(tmp_path / "continuations", drawn, schemas.CONTINUATIONS)
    texts = [("a-0", "he ran", 0.5), ("a-1", " ", 0.0), ("b-0", "so", 0.0), ("b-1", "no", 0.1)]
    rows = [{"id": name, "text": text, "auto_bleu": bleu} for name, text, bleu in texts]
    write_shard(tmp_path / "transcripts", rows, schemas.TRANSCRIPTS)
    scores = [("a-0", 1.0), ("a-1", None), ("b-0", 4.0), ("b-1", 4.0)]
    rows = [{"id": name, "score": score} for name, score in scores]
    write_shard(tmp_path / "verdicts", rows, schemas.VERDICTS)
    pair = {"id": "b", "split": "dev", "chosen_score": 4.0, "rejected_score": 1.0}
    write_shard(tmp_path / "pairs", [pair], schemas.PAIRS)
    assert yield_figures(tmp_path) == {
        "yield/prompts": 2,
        "yield/continuations": 4,
        "yield/empty": 0.25,
        "yield/auto_bleu": pytest.approx(0.15),
        "yield/judged": 3,
        "yield/score": 3.0,
        "yield/pairs_train": 0,
        "yield/pairs_dev": 1,
        "yield/pairs_per_prompt": 0.5,
        "yield/chosen_score": 4.0,
        "yield/rejected_score": 1.0,
    }


def test_a_baseline_has_pairs_alone(tmp_path):
    write_shard(tmp_path / "pairs", [{"id": "b", "split": "train"}], schemas.PAIRS)
    assert yield_figures(tmp_path) == {"yield/pairs_train": 1, "yield/pairs_dev": 0}


def metric(system, name, benchmark, value, *, group=None, ci=None):
    return Metric(system, name, benchmark, group, value, 10, 0, 0, ci)


def test_rounds_are_the_steps_of_an_evaluation_and_baselines_stand_beside_the_first():
    ci = Interval("cluster-bootstrap", 0.95, 0.6, 0.8)
    rows = [
        metric("pre-trained", "swuggy/mean", "sWUGGY", 0.7, ci=ci),
        metric("pre-trained", "swuggy/mean", "sWUGGY", 0.5, group="oov"),
        metric("fine-tuned", "swuggy/mean", "sWUGGY", 0.6),
        metric("aligned round 2", "swuggy/mean", "sWUGGY", 0.9),
        metric("pre-trained", "judge/a", "generation", 3.0),
        metric("pre-trained", "empty/b", "generation", 0.1),
    ]
    results = Results(
        systems=[System("pre-trained")], results=rows, settings={"baseline": "pre-trained"}
    )
    assert result_figures(results) == [
        {
            "aligned/sWUGGY": 0.7, "aligned/sWUGGY/low": 0.6, "aligned/sWUGGY/high": 0.8,
            "fine-tuned/sWUGGY": 0.6, "aligned/judge/a": 3.0, "aligned/empty/b": 0.1,
        },
        {},
        {"aligned/sWUGGY": 0.9},
    ]  # fmt: skip
    assert result_figures(Results(systems=[], results=[])) == []
