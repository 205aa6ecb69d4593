"""ZeroSpeech's figures from scores alone, and files for its evaluator: the fourteen cases."""

from __future__ import annotations

import math
import random
from pathlib import Path

import pytest
import yaml

from orality.errors import EvaluationError
from orality.evaluation import (
    read_scores,
    recording_scores,
    write_scores,
    write_submission,
    zerospeech_accuracies,
)
from orality.evaluation.benchmarks.pairs import BenchmarkPair
from orality.evaluation.likelihood.accuracy import PairOutcome

HEADER = "filename,id,voice,frequency,word,phones,length,correct"
ROWS = [
    "aaa,1,A,10,brick,B R IH K,4,1",
    "aab,1,A,10,,B L IH K,4,0",
    "aac,1,B,10,brick,B R IH K,4,1",
    "aad,1,B,10,,B L IH K,4,0",
    "aae,2,A,0,squalled,S K W,5,1",
    "aaf,2,A,0,,S K W,5,0",
    "aag,3,A,500,the,DH,2,1",
    "aah,3,A,500,,DH,2,0",
]
SCORES = {"aaa": -1, "aab": -2, "aac": -3, "aad": -3, "aae": -5, "aaf": -4, "aag": -1, "aah": -9}


def gold(folder: Path, rows=ROWS, newline="\n") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "gold.csv").write_bytes(newline.join([HEADER, *rows, ""]).encode())
    return folder


def figures(folder, scores=SCORES):
    found = zerospeech_accuracies(folder, scores)
    return {group: round(value.value, 6) for group, value in found.items()}


GOLDEN = {None: 0.583333, "in_vocab": 0.875, "oov": 0.0, "6-20": 0.75, ">100": 1.0}


def test_the_official_figures_with_a_tie_and_two_voices(tmp_path):
    assert figures(gold(tmp_path)) == GOLDEN
    assert zerospeech_accuracies(tmp_path, SCORES)[None].n_ties == 1


def test_out_of_vocabulary_alone_leaves_no_figure_in_vocabulary(tmp_path):
    scores = {name: SCORES[name] for name in ("aae", "aaf")}
    assert figures(gold(tmp_path, ROWS[4:6]), scores) == {None: 0.0, "oov": 0.0}


def test_an_empty_band_spoils_no_other(tmp_path):
    found = figures(gold(tmp_path))
    assert "1-5" not in found
    assert not any(math.isnan(value) for value in found.values())


@pytest.mark.parametrize(
    ("frequency", "band"), [(1, "1-5"), (5, "6-20"), (20, "21-100"), (100, ">100")]
)
def test_the_edges_of_bands_are_the_official_ones(tmp_path, frequency, band):
    rows = [f"aaa,1,A,{frequency},w,W,1,1", f"aab,1,A,{frequency},,W,1,0"]
    found = figures(gold(tmp_path, rows), {"aaa": -1, "aab": -2})
    assert found == {None: 1.0, "in_vocab": 1.0, band: 1.0}


def test_shuffled_rows_give_the_same_figures(tmp_path):
    for seed in range(20):
        rows = random.Random(seed).sample(ROWS, len(ROWS))
        assert figures(gold(tmp_path / str(seed), rows)) == GOLDEN


def test_a_row_or_a_score_given_twice_is_refused(tmp_path):
    with pytest.raises(EvaluationError, match=r"line 10: .*given before, in line 2"):
        figures(gold(tmp_path, [*ROWS, ROWS[0]]))
    with pytest.raises(EvaluationError, match="aaa has two scores"):
        figures(gold(tmp_path), {**SCORES, "aaa.wav": -1})


def test_a_missing_score_is_named(tmp_path):
    scores = {name: score for name, score in SCORES.items() if name != "aaf"}
    with pytest.raises(EvaluationError, match="1 recordings have no score, aaf among them"):
        figures(gold(tmp_path), scores)


def test_an_extra_score_is_named(tmp_path):
    with pytest.raises(EvaluationError, match="zzz among them"):
        figures(gold(tmp_path), {**SCORES, "zzz": 0.0})


def test_a_score_that_is_not_a_number_is_refused(tmp_path):
    with pytest.raises(EvaluationError, match="the score of aag is not a number"):
        figures(gold(tmp_path), {**SCORES, "aag": math.nan})


def test_minus_infinity_loses_and_ties_with_itself(tmp_path):
    impossible = {**SCORES, "aag": -math.inf, "aaa": -math.inf, "aab": -math.inf}
    assert zerospeech_accuracies(gold(tmp_path), impossible)[None].means == {
        "1": 0.5, "2": 0.0, "3": 0.0,
    }  # fmt: skip


def test_windows_line_ends_make_no_difference(tmp_path):
    assert figures(gold(tmp_path, newline="\r\n")) == GOLDEN


def test_a_suffix_makes_no_difference(tmp_path):
    with_suffix = {f"{name}.wav": score for name, score in SCORES.items()}
    assert figures(gold(tmp_path), with_suffix) == GOLDEN
    rows = [row.replace(",", ".wav,", 1) for row in ROWS]
    assert figures(gold(tmp_path, rows)) == GOLDEN


def test_one_id_is_enough(tmp_path):
    assert figures(gold(tmp_path, ROWS[:2]), {"aaa": 0, "aab": -1})[None] == 1.0


def test_the_file_itself_may_be_given(tmp_path):
    assert figures(gold(tmp_path) / "gold.csv") == GOLDEN
    assert figures(gold(tmp_path / "set" / "lexical" / "dev").parents[1]) == GOLDEN


def test_sblimp_is_told_by_type(tmp_path):
    tmp_path.joinpath("gold.csv").write_text(
        "filename,id,voice,type,subtype,transcription,correct\n"
        "a,1,A,agreement,x,,1\nb,1,A,agreement,x,,0\n"
        "c,1,A,islands,y,,0\nd,1,A,islands,y,,1\n"
    )
    scores = {"a": -1, "b": -2, "c": -1, "d": -2}
    found = zerospeech_accuracies(tmp_path, scores, kind="sblimp")
    assert {group: value.value for group, value in found.items()} == {
        None: 0.5, "agreement": 1.0, "islands": 0.0,
    }  # fmt: skip


def test_scores_are_written_as_the_evaluator_reads_them(tmp_path):
    path = write_scores(tmp_path, "lexical", "dev", {"b.wav": -2, "a": -313.37445068359375})
    assert path == tmp_path / "lexical" / "dev.txt"
    assert path.read_bytes() == b"a -313.37445068359375\nb -2.0\n"
    assert read_scores(path) == {"a": -313.37445068359375, "b": -2.0}


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ({}, "needs scores"),
        ({"a": math.nan}, "wanted a finite number"),
        ({"a": -math.inf}, "wanted a finite number"),
        ({"a b": 1.0}, "no recording's name"),
        ({"a": 1.0, "a.wav": 1.0}, "given twice"),
    ],
)
def test_scores_of_nonsense_are_not_written(tmp_path, scores, message):
    with pytest.raises(EvaluationError, match=message):
        write_scores(tmp_path, "lexical", "dev", scores)
    assert not list(tmp_path.iterdir())


def test_a_damaged_file_of_scores_names_the_line(tmp_path):
    path = tmp_path / "dev.txt"
    for text, message in (
        ("a 1\nb\n", "line 2: wanted a name and a score"),
        ("a 1\na 2", "line 2: a was"),
    ):
        path.write_text(text)
        with pytest.raises(EvaluationError, match=message):
            read_scores(path)


def test_outcomes_give_every_recording_its_score():
    pair = BenchmarkPair("1", Path("x/a.wav"), Path("x/b.wav"), None, "1")
    assert recording_scores([PairOutcome(pair, 1.0, -1.0, -2.0)]) == {"a": -1.0, "b": -2.0}
    with pytest.raises(EvaluationError, match=r"a\.wav has no score.*: too short"):
        recording_scores([PairOutcome(pair, None, error="too short")])


def test_a_submission_is_whole(tmp_path):
    out = write_submission(
        tmp_path / "sub",
        {("lexical", "dev"): SCORES, ("syntactic", "dev"): {"s": -1.5}},
        model={"system_description": "units and OPT", "train_set": "LibriSpeech"},
        publication={"authors": "Doe, J.", "institution": "U"},
    )
    assert sorted(str(p.relative_to(out)) for p in out.rglob("*") if p.is_file()) == [
        "lexical/dev.txt", "meta.yaml", "params.yaml", "syntactic/dev.txt",
    ]  # fmt: skip
    meta = yaml.safe_load((out / "meta.yaml").read_text())
    assert meta["model_info"]["train_set"] == "LibriSpeech"
    assert meta["publication"]["authors"] == "Doe, J."
    assert yaml.safe_load((out / "params.yaml").read_text())["semantic"]["metric"] == "euclidean"
    assert figures(gold(tmp_path / "set"), read_scores(out / "lexical" / "dev.txt")) == GOLDEN


def test_a_submission_of_nobody_is_refused(tmp_path):
    with pytest.raises(EvaluationError, match=r"needs model\.train_set, publication\.authors"):
        write_submission(
            tmp_path / "sub", {}, model={"system_description": "x"},
            publication={"institution": "U"},
        )  # fmt: skip
