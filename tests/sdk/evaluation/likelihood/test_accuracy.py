"""Units are encoded once, pairs are scored once, and what fails is named."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from evaluation_fakes import UnigramSLM, melody, write_stories

from orality.errors import AudioError, EvaluationError
from orality.evaluation.benchmarks.storycloze import read_storycloze
from orality.evaluation.journal import Journal
from orality.evaluation.likelihood.accuracy import (
    Likelihood,
    accuracies,
    outcomes,
    predicted_tokens,
    preference,
    score_pairs,
)
from orality.evaluation.likelihood.encoded import units_of_files
from orality.testing.tones import ToneTokenizer
from orality.types import Units

# (correct, incorrect): the model likes low tones, and, summed, short melodies
PAIRS = [
    (melody(1, 2, 3), melody(9, 8, 9)),  # right by either rule
    (melody(1, 2, 1, 2), melody(1, 5)),  # right by the mean, wrong by the sum
    (melody(4, 5), melody(6, 5)),  # the first unit is not predicted: a tie
    (melody(9, 9 - 1), melody(2, 1)),  # wrong
]


class CountingTokenizer(ToneTokenizer):
    def __init__(self):
        self.heard = 0

    def encode(self, batch):
        self.heard += len(batch)
        return super().encode(batch)


@pytest.fixture
def pairs(tmp_path):
    return read_storycloze(write_stories(tmp_path / "stories", PAIRS))


@pytest.fixture
def units(pairs, tmp_path):
    files = [path for pair in pairs for path in (pair.positive, pair.negative)]
    return units_of_files(files, ToneTokenizer(), cache=tmp_path / "units.jsonl")


def test_units_come_from_the_recordings(pairs, units):
    for pair, (right, wrong) in zip(pairs, PAIRS, strict=True):
        assert units[pair.positive].ids.tolist() == right.ids.tolist()
        assert units[pair.negative].ids.tolist() == wrong.ids.tolist()


def test_recordings_are_encoded_once_and_durations_kept(pairs, units, tmp_path):
    tokenizer = CountingTokenizer()
    again = units_of_files(list(units), tokenizer, cache=tmp_path / "units.jsonl")
    assert tokenizer.heard == 0
    for path, encoded in units.items():
        assert again[path].ids.tolist() == encoded.ids.tolist()
        assert again[path].durations.tolist() == encoded.durations.tolist()


def test_a_changed_recording_is_encoded_again(pairs, units, tmp_path):
    write_stories(tmp_path / "stories", [(melody(7, 3, 7, 3, 7), melody(9, 8, 9))])
    again = units_of_files([pairs[0].positive], ToneTokenizer(), cache=tmp_path / "units.jsonl")
    assert again[pairs[0].positive].ids.tolist() == [7, 3, 7, 3, 7]


def test_the_cache_of_another_tokenizer_is_refused(units, tmp_path):
    class Other(ToneTokenizer):
        from orality.types import UnitSpec

        unit_spec = UnitSpec("other", 20, 25.0)

    with pytest.raises(EvaluationError, match="made with other settings: units"):
        units_of_files(list(units), Other(), cache=tmp_path / "units.jsonl")


def test_broken_recordings_fail_alone_and_are_tried_again(pairs, tmp_path):
    pairs[0].positive.write_bytes(b"no audio")

    class Fussy(ToneTokenizer):
        def encode(self, batch):
            found = super().encode(batch)
            if any(units.ids[0] == 9 and len(units) == 2 for units in found):
                raise AudioError("too shrill")
            return found

    files = [path for pair in pairs for path in (pair.positive, pair.negative)]
    found = units_of_files(files, Fussy(), cache=tmp_path / "units.jsonl")
    assert "cannot be read as audio" in found[pairs[0].positive]
    assert found[pairs[3].positive] == "too shrill"
    assert sum(isinstance(item, Units) for item in found.values()) == 6
    again = units_of_files(files, ToneTokenizer(), cache=tmp_path / "units.jsonl")
    assert again[pairs[3].positive].ids.tolist() == [9, 8]


def score(pairs, units, tmp_path, slm=None, **options):
    model = slm or UnigramSLM()
    journal = Journal(tmp_path / "scores.jsonl", {"a": 1})
    return score_pairs(pairs, units, lambda: model, journal, **options)


def test_mean_and_sum_decide_differently(pairs, units, tmp_path):
    rows = score(pairs, units, tmp_path)
    assert [item.value for item in outcomes(pairs, rows)] == [1.0, 1.0, 0.5, 0.0]
    assert [item.value for item in outcomes(pairs, rows, "sum")] == [1.0, 0.0, 0.5, 0.0]
    found = accuracies(outcomes(pairs, rows), "storycloze")[None]
    assert (found.value, found.n, found.n_ties) == (0.625, 4, 1)


def test_scores_are_per_predicted_token(pairs, units, tmp_path):
    row = score(pairs, units, tmp_path)["0"]
    # units 2 and 3 given 1: -1.2 - 1.3 over two tokens
    assert row["positive"] == [pytest.approx(-2.5), 2]
    assert outcomes(pairs[:1], {"0": row})[0].positive == pytest.approx(-1.25)


def test_bos_and_eos_add_two_predicted_tokens():
    assert predicted_tokens(melody(1, 2, 3), "no_bos") == 2
    assert predicted_tokens(melody(1, 2, 3), "bos_eos") == 4
    assert predicted_tokens(Units(np.zeros((3, 2), dtype=np.int64)), "no_bos") == 4


def test_pairs_are_scored_once_and_the_model_is_not_built_in_vain(pairs, units, tmp_path):
    slm = UnigramSLM()
    first = score(pairs[:3], units, tmp_path, slm)
    assert slm.scored == 6
    second = score(pairs, units, tmp_path, slm)
    assert slm.scored == 8
    assert {key: second[key] for key in first} == first

    def never():
        raise AssertionError("nothing is left to do")

    score_pairs(pairs, units, never, Journal(tmp_path / "scores.jsonl", {"a": 1}))


def test_the_batch_does_not_change_the_scores(pairs, units, tmp_path):
    whole = score(pairs, units, tmp_path / "a")
    assert score(pairs, units, tmp_path / "b", max_tokens=1) == whole


def test_what_cannot_be_scored_is_named_and_not_stored(pairs, units, tmp_path):
    units = {**units, pairs[0].positive: "no sound", pairs[3].negative: melody(1)}
    slm = UnigramSLM(context_length=3)
    rows = score(pairs, units, tmp_path, slm)
    assert rows["0"]["error"] == "no sound"
    assert "4 tokens do not fit the model's context of 3" in rows["1"]["error"]
    assert "positive" in rows["2"]
    assert "1 units are too few" in rows["3"]["error"]
    assert slm.scored == 2
    assert set(Journal(tmp_path / "scores.jsonl", {"a": 1}).rows) == {"2"}


def test_a_likelihood_that_is_not_a_number_fails_the_pair(pairs, units, tmp_path):
    class Broken(UnigramSLM):
        def log_likelihood(self, batch, *, convention="no_bos"):
            return [math.nan, -math.inf, *super().log_likelihood(batch[2:])]

    rows = score(pairs, units, tmp_path, Broken())
    assert sum(row.get("error", "").endswith("is not a number") for row in rows.values()) == 1


def test_infinite_likelihoods_survive_the_journal(pairs, units, tmp_path):
    class Impossible(UnigramSLM):
        def log_likelihood(self, batch, *, convention="no_bos"):
            return [-math.inf for _ in batch]

    rows = score(pairs, units, tmp_path, Impossible())
    assert score(pairs, units, tmp_path) == rows
    assert [item.value for item in outcomes(pairs, rows)] == [0.5] * 4


def test_a_model_that_miscounts_is_refused(pairs, units, tmp_path):
    class Short(UnigramSLM):
        def log_likelihood(self, batch, *, convention="no_bos"):
            return [0.0]

    with pytest.raises(EvaluationError, match="1 log-likelihoods for 8 recordings"):
        score(pairs, units, tmp_path, Short())


def test_preference_and_normalization():
    assert [preference(*ab) for ab in ((1, 0), (0, 1), (1, 1))] == [1.0, 0.0, 0.5]
    assert Likelihood(-6.0, 3).score("mean") == -2.0
    assert Likelihood(-6.0, 3).score("sum") == -6.0


def test_every_cut_of_a_journal_keeps_its_whole_lines(tmp_path):
    path = tmp_path / "j.jsonl"
    journal = Journal(path, {"s": "é"})
    journal.append([{"id": str(n), "v": n} for n in range(4)])
    whole = path.read_bytes()
    start = whole.index(b"\n") + 1
    for cut in range(start, len(whole) + 1):
        path.write_bytes(whole[:cut])
        found = Journal(path, {"s": "é"})
        assert len(found.rows) == whole[start:cut].count(b"\n")
        found.append([{"id": "new", "v": 9}])
        lines = path.read_bytes().splitlines()
        assert json.loads(lines[-1]) == {"id": "new", "v": 9}
        assert len(lines) == len(found.rows) + 1


def test_a_damaged_journal_names_the_line(tmp_path):
    path = tmp_path / "j.jsonl"
    Journal(path, {}).append([{"id": "a"}])
    path.write_bytes(path.read_bytes() + b"{]\n")
    with pytest.raises(EvaluationError, match=r"j\.jsonl, line 3 is damaged"):
        Journal(path, {})
    path.write_bytes(b"")
    with pytest.raises(EvaluationError, match="holds no settings"):
        Journal(path, {})


def test_a_recording_of_the_same_size_and_another_content_is_encoded_again(pairs, units, tmp_path):
    path = pairs[0].positive
    data = bytearray(path.read_bytes())
    data[-4000:] = bytes(4000)  # the end is silent now
    path.write_bytes(bytes(data))
    tokenizer = CountingTokenizer()
    units_of_files(list(units), tokenizer, cache=tmp_path / "units.jsonl")
    assert tokenizer.heard == 1


def test_a_touched_recording_is_hashed_and_not_encoded_again(pairs, units, tmp_path):
    path = pairs[0].positive
    path.write_bytes(path.read_bytes())
    tokenizer = CountingTokenizer()
    again = units_of_files(list(units), tokenizer, cache=tmp_path / "units.jsonl")
    assert tokenizer.heard == 0
    assert again[path].ids.tolist() == units[path].ids.tolist()


def test_stored_likelihoods_of_other_recordings_are_computed_again(pairs, units, tmp_path):
    before = score(pairs, units, tmp_path)
    swapped = dict(units)
    first = pairs[0]
    swapped[first.positive], swapped[first.negative] = units[first.negative], units[first.positive]
    after = score(pairs, swapped, tmp_path)
    assert after[first.id]["positive"] == before[first.id]["negative"]
    assert after[first.id]["negative"] == before[first.id]["positive"]
    assert {k: after[k] for k in after if k != first.id} == {
        k: before[k] for k in before if k != first.id
    }
