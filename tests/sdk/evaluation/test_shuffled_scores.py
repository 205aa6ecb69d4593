"""The control of a measured gain: trained on shuffled scores of the same samples, there is none.

`table1_seed1.json` has what `tiny-table1` (seed 1) measured on 150 held-out prompts: the
pre-trained model at two temperatures, the model after the second round of judge feedback, and one
that was trained in its place on the same continuations, scores shuffled within each prompt.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from orality.evaluation.continuations.summarize import figure_of
from orality.evaluation.frontier.curve import ClusterPoint, gain_over_curve

STORED = json.loads(
    (Path(__file__).parents[2] / "golden" / "alignment" / "table1_seed1.json").read_text()
)
CURVE = ("pre-trained, T 0.6", "pre-trained, T 0.8")


def point(name):
    stored = STORED["systems"][name]
    repeats = np.array(stored["auto_bleu"])
    return ClusterPoint(
        np.array(stored["score"]), np.stack([np.ones(len(repeats)), repeats], axis=1)
    )


def gain(name):
    return gain_over_curve(point(name), [point(at) for at in CURVE], figure_of("mean"))


def test_the_judge_s_scores_gain_over_the_pre_trained_model_s_frontier():
    found = gain("round 2, T 0.8")
    assert found.difference == pytest.approx(0.169, abs=0.002)
    assert found.ci is not None
    assert 0.0 < found.ci.low < found.ci.high < 0.3
    assert found.p_value < 0.02


def test_shuffled_scores_gain_nothing_over_it():
    found = gain("round 2 on shuffled scores, T 0.8")
    assert found.ci is not None
    assert found.ci.low < 0.0 < found.ci.high
    assert found.p_value > 0.2


def test_at_the_same_temperature_shuffled_scores_are_beaten_as_well():
    judged, shuffled = (point(f"round 2{how}, T 0.8").scores for how in ("", " on shuffled scores"))
    difference = judged - shuffled
    assert difference.mean() == pytest.approx(0.134, abs=0.005)
    assert difference.mean() > 3 * difference.std() / np.sqrt(len(difference))
