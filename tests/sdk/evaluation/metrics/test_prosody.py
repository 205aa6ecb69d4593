"""pGSLM's figures and sentiment preservation, by hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from orality.errors import EvaluationError
from orality.evaluation import (
    prosody_correlation,
    prosody_min_mae,
    prosody_std,
    read_stsp,
    read_stsp_predictions,
    stsp_accuracy,
)


def test_the_nearest_of_several_samples_counts():
    # |1-1| + |2-4| = 2 and |3-1| + |4-4| = 2 and 1: the least is 1; then |5-8| = 3; three tokens
    references = [[1, 4], [8]]
    samples = [[[1, 2], [3, 4], [2, 4]], [[5], [1], [20]]]
    assert prosody_min_mae(references, samples) == pytest.approx((1 + 3) / 3)


def test_the_nearest_is_nearest_as_a_whole():
    # neither sample is right in both places: 0 + 9 against 4 + 4
    assert prosody_min_mae([[0, 0]], [[[0, 9], [4, 4]]]) == 4.0


def test_unvoiced_tokens_are_not_compared_but_counted():
    found = prosody_min_mae([[100, 0, 120]], [[[110, 50, 120]]], voiced=[[True, False, True]])
    assert found == pytest.approx(10 / 3)


@pytest.mark.parametrize(
    ("references", "samples", "voiced", "message"),
    [
        ([[1]], [], None, "got 0 samples for 1 references"),
        ([[1, 2]], [[[1]]], None, r"has 2 tokens, its samples the shape \(1, 1\)"),
        ([[1]], [[]], None, r"the shape \(0,\)"),
        ([[math.nan]], [[[1]]], None, "no row of finite numbers"),
        ([[1]], [[[math.inf]]], None, "samples that are no finite numbers"),
        ([[1]], [[[1]]], [[True, False]], "got 2 mask values for 1 tokens"),
        ([[1]], [[[1]]], [], "got 0 masks"),
        ([], [], None, "at least one token"),
    ],
)
def test_an_error_of_nonsense_is_refused(references, samples, voiced, message):
    with pytest.raises(EvaluationError, match=message):
        prosody_min_mae(references, samples, voiced=voiced)


def test_the_correlation_is_of_the_voiced_means():
    # means 100, 200, 300 and 110, 130, 120: r = 0.5
    prompts = [[100, 0, 100], [150, 250], [300]]
    continuations = [[110, 0], [130], [100, 140]]
    found = prosody_correlation(prompts, continuations)
    assert found.value == pytest.approx(0.5)
    assert (found.n, found.n_unvoiced) == (3, 0)


def test_unvoiced_utterances_are_counted_and_left_out():
    found = prosody_correlation([[1], [2], [0], [3]], [[2], [4], [9], [6]])
    assert found.value == pytest.approx(1.0)
    assert (found.n, found.n_unvoiced) == (3, 1)


@pytest.mark.parametrize(
    ("prompts", "continuations", "message"),
    [
        ([[1]], [[1], [2]], "got 2 continuations for 1 prompts"),
        ([[1], [0]], [[1], [2]], "two voiced utterances, got 1"),
        ([[1], [1]], [[1], [2]], "values that differ"),
        ([[1], [-1]], [[1], [2]], "no row of finite numbers of 0 or more"),
        ([[[1]], [[1]]], [[1], [2]], r"shape \(1, 1\)"),
    ],
)
def test_a_correlation_of_nonsense_is_refused(prompts, continuations, message):
    with pytest.raises(EvaluationError, match=message):
        prosody_correlation(prompts, continuations)


def test_the_spread_is_over_all_tokens():
    # 1, 3 and 8: mean 4, mean of squares 74 / 3
    assert prosody_std([[1, 3], [8]]) == pytest.approx(math.sqrt(74 / 3 - 16))
    assert prosody_std([[0, 2]]) == 1.0
    with pytest.raises(EvaluationError, match="at least one token"):
        prosody_std([])


def test_the_spread_of_large_numbers_does_not_cancel():
    assert prosody_std([np.array([1e9, 1e9 + 2])]) == pytest.approx(1.0)


ROWS = [
    {"id": 4792320029370491913, "emotion": "angry", "wav_path": "emov/a.wav", "speaker": "sam"},
    {"id": -5682350483296949563, "emotion": "neutral", "wav_path": "emov/b.wav"},
    {"id": -8754508989367964614, "emotion": "amused", "wav_path": "emov/c.wav"},
    {"id": 7, "sentiment": "negative", "emotion": "sad", "wav_path": "emov/d.wav"},
]


def lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_manifest_is_read_with_its_ids_as_text(tmp_path):
    found = read_stsp(lines(tmp_path / "m.jsonl", ROWS), root="data")
    assert [record.id for record in found] == [
        "4792320029370491913", "-5682350483296949563", "-8754508989367964614", "7",
    ]  # fmt: skip
    assert [r.sentiment for r in found] == ["negative", "neutral", "positive", "negative"]
    assert str(found[0].path) == "data/emov/a.wav"
    assert (found[0].speaker, found[1].speaker) == ("sam", None)


def test_a_missing_prediction_counts_as_wrong(tmp_path):
    prompts = read_stsp(lines(tmp_path / "m.jsonl", ROWS))
    said = [{"id": row["id"], "pred": p} for row, p in zip(ROWS, ["sad", "happy", "positive"], strict=False)]  # fmt: skip  # noqa: E501
    found = stsp_accuracy(prompts, read_stsp_predictions(lines(tmp_path / "p.jsonl", said)))
    # angry as sad is kept, neutral as happy is not, amused as positive is; the last is missing
    assert (found.value, found.n, found.n_missing) == (0.5, 4, 1)
    assert found.by_sentiment == {"positive": 1.0, "negative": 0.5, "neutral": 0.0}


def test_sentiments_may_be_given_by_id():
    assert stsp_accuracy({"a": "happy", "b": "sad"}, {"a": "positive", "b": "neutral"}).value == 0.5


@pytest.mark.parametrize(
    ("gold", "said", "message"),
    [
        ({"a": "happy"}, {"b": "sad"}, "1 predictions belong to no prompt, b among them"),
        ({"a": "happy"}, {"a": "bored"}, "'bored' is neither a sentiment"),
        ({}, {}, "at least one prompt"),
    ],
)
def test_predictions_of_nonsense_are_refused(gold, said, message):
    with pytest.raises(EvaluationError, match=message):
        stsp_accuracy(gold, said)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"id": 1}', "line 1: wanted a sentiment"),
        ('{"emotion": "sad"}', "line 1: wanted an id"),
        ('{"id": 1, "emotion": "sad"}\n{"id": "1", "emotion": "sad"}', "line 2: the id 1 was"),
        ('{"id": 1, "emotion": "odd"}', "line 1: 'odd' is neither"),
        ("[]", "line 1: wanted an object"),
        ("{", "line 1 cannot be read as JSON"),
        ("\n", "holds no prompts"),
    ],
)
def test_a_damaged_manifest_is_named_with_the_line(tmp_path, text, message):
    path = tmp_path / "m.jsonl"
    path.write_text(text)
    with pytest.raises(EvaluationError, match=message):
        read_stsp(path)
