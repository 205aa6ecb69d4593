"""sWUGGY and sBLIMP as they lie on disk, against ZeroSpeech's own figures."""

from __future__ import annotations

import math
import random
from pathlib import Path

import numpy as np
import pytest

from orality.errors import EvaluationError
from orality.evaluation.benchmarks.sblimp import read_sblimp
from orality.evaluation.benchmarks.swuggy import frequency_band, read_swuggy
from orality.evaluation.likelihood.accuracy import PairOutcome, accuracies, accuracy, outcomes

HEADER = "filename,id,voice,frequency,word,phones,length,correct"
# The golden set: brick/blick in two voices, squalled/squilled unheard of, the/tho frequent.
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
SCORES = {"1/A": (-1, -2), "1/B": (-3, -3), "2/A": (-5, -4), "3/A": (-1, -9)}


def lay_out(folder: Path, rows=ROWS, *, header=HEADER, suffix=".wav", newline="\n") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "gold.csv").write_bytes(newline.join([header, *rows, ""]).encode())
    for row in rows:
        name = Path(row.split(",")[0])
        (folder / (name if name.suffix else name.with_suffix(suffix))).touch()
    return folder


def judged(pairs, scores=SCORES):
    rows = {
        pair.id: {"id": pair.id, "positive": [a, 1], "negative": [b, 1]}
        for pair in pairs
        for a, b in [scores[pair.id]]
    }
    return outcomes(pairs, rows)


def test_the_official_figures_are_met(tmp_path):
    results = judged(read_swuggy(lay_out(tmp_path)))
    found = accuracies(results, "swuggy")
    assert found[None].means == {"1": 0.75, "2": 0.0, "3": 1.0}
    assert found[None].value == pytest.approx(0.583333, abs=1e-6)
    assert found["in_vocab"].value == pytest.approx(0.875)
    assert {group: found[group].value for group in ("oov", "6-20", ">100")} == {
        "oov": 0.0, "6-20": 0.75, ">100": 1.0,
    }  # fmt: skip


def test_ties_are_half_right_and_counted(tmp_path):
    found = accuracy(judged(read_swuggy(lay_out(tmp_path))))
    assert (found.n, found.n_ties, found.n_failed) == (4, 1, 0)


def test_an_empty_band_has_no_figure_and_spoils_none(tmp_path):
    found = accuracies(judged(read_swuggy(lay_out(tmp_path))), "swuggy")
    assert "1-5" not in found
    assert "21-100" not in found
    assert list(found) == [None, "in_vocab", "oov", "6-20", ">100"]


@pytest.mark.parametrize(
    ("frequency", "band"),
    [(0, "oov"), (0.5, "oov"), (1, "1-5"), (4, "1-5"), (5, "6-20"), (19, "6-20"), (20, "21-100"),
     (99, "21-100"), (100, ">100"), (1e9, ">100")],
)  # fmt: skip
def test_band_edges_are_the_official_ones(frequency, band):
    assert frequency_band(frequency) == band


def test_the_order_of_rows_does_not_matter(tmp_path):
    expected = read_swuggy(lay_out(tmp_path / "first"))
    shuffled = random.Random(1).sample(ROWS, len(ROWS))
    found = read_swuggy(lay_out(tmp_path / "second", shuffled))
    assert [(p.id, p.positive.name, p.negative.name, p.group, p.cluster) for p in found] == [
        (p.id, p.positive.name, p.negative.name, p.group, p.cluster) for p in expected
    ]
    assert found[0].positive.name == "aaa.wav"


def test_voices_of_one_word_form_a_cluster(tmp_path):
    pairs = read_swuggy(lay_out(tmp_path))
    assert [(p.id, p.cluster) for p in pairs[:2]] == [("1/A", "1"), ("1/B", "1")]


def test_a_row_given_twice_names_file_and_lines(tmp_path):
    folder = lay_out(tmp_path, [*ROWS, ROWS[0]])
    with pytest.raises(EvaluationError, match=r"gold\.csv, line 10: id '1', voice 'A', .* line 2"):
        read_swuggy(folder)


def test_a_row_without_counterpart_names_file_and_line(tmp_path):
    with pytest.raises(EvaluationError, match=r"line 8: 'aag' has no incorrect counterpart"):
        read_swuggy(lay_out(tmp_path, ROWS[:-1]))


def test_a_missing_recording_names_file_and_line(tmp_path):
    folder = lay_out(tmp_path)
    (folder / "aac.wav").unlink()
    with pytest.raises(EvaluationError, match=r"line 4: there is no recording 'aac'"):
        read_swuggy(folder)


def test_recordings_no_row_names_are_ignored(tmp_path):
    folder = lay_out(tmp_path)
    (folder / "zzz.wav").touch()
    assert len(read_swuggy(folder)) == 4


def test_windows_line_ends_and_a_byte_order_mark_are_read(tmp_path):
    folder = lay_out(tmp_path, header="\ufeff" + HEADER, newline="\r\n")
    assert len(read_swuggy(folder)) == 4


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg"])
def test_file_names_may_carry_a_suffix_even_of_another_format(tmp_path, suffix):
    rows = [row.replace(",", ".wav,", 1) for row in ROWS]
    folder = lay_out(tmp_path, ROWS, suffix=suffix)
    (folder / "gold.csv").write_text("\n".join([HEADER, *rows]))
    assert {pair.positive.suffix for pair in read_swuggy(folder)} == {suffix}


def test_one_id_is_enough(tmp_path):
    found = accuracies(judged(read_swuggy(lay_out(tmp_path, ROWS[:2]))), "swuggy")
    assert found[None].value == found["in_vocab"].value == 1.0


def test_a_likelihood_that_is_minus_infinity_loses_and_two_tie(tmp_path):
    pairs = read_swuggy(lay_out(tmp_path, ROWS[:4]))
    results = judged(pairs, {"1/A": (-5, -math.inf), "1/B": (-math.inf, -math.inf)})
    assert [item.value for item in results] == [1.0, 0.5]


def test_a_failed_pair_is_counted_and_not_averaged(tmp_path):
    pairs = read_swuggy(lay_out(tmp_path))
    results = [PairOutcome(pairs[0], None, error="no sound"), *judged(pairs)[1:]]
    found = accuracy(results)
    # cluster 1 keeps voice B's tie; clusters 2 and 3 are 0 and 1
    assert (found.value, found.n, found.n_failed) == (0.5, 3, 1)


def test_nothing_scored_is_an_error_with_the_reason(tmp_path):
    pairs = read_swuggy(lay_out(tmp_path))
    with pytest.raises(EvaluationError, match="none of the 4 pairs could be scored: no sound"):
        accuracy([PairOutcome(pair, None, error="no sound") for pair in pairs])


@pytest.mark.parametrize(
    ("header", "rows", "message"),
    [
        (HEADER.replace("voice", "speaker"), ROWS, "line 1: the columns voice are missing"),
        (HEADER, [], "a header and no rows"),
        ("", [], "are missing; got an empty file"),
        (HEADER, [ROWS[0].replace("4,1", "4,yes")], "line 2: correct must be 0 or 1, got 'yes'"),
        (HEADER, ["aaa,,A,1,w,p,4,1"], "line 2: no value for id"),
        (HEADER, [ROWS[0] + ",more"], "line 2: more values than the 8 columns"),
        (HEADER, [r.replace(",10,", ",-3,") for r in ROWS[:2]], "line 2: frequency '-3'"),
        (HEADER, [r.replace(",10,", ",often,") for r in ROWS[:2]], "line 2: frequency 'often'"),
        (HEADER, ['"aaa,1'], "line 2: no value for id"),
    ],
)
def test_malformed_gold_files_are_named_with_the_line(tmp_path, header, rows, message):
    with pytest.raises(EvaluationError, match=message):
        read_swuggy(lay_out(tmp_path, rows, header=header))


def test_a_missing_frequency_gives_no_band(tmp_path):
    header = "filename,id,voice,correct"
    folder = lay_out(tmp_path, ["a,1,A,1", "b,1,A,0"], header=header)
    assert read_swuggy(folder)[0].group is None


@pytest.mark.parametrize("inside", ["", "dev", "lexical/dev"])
def test_any_level_of_the_data_set_may_be_given(tmp_path, inside):
    lay_out(tmp_path / inside)
    assert len(read_swuggy(tmp_path)) == 4


def test_a_folder_without_gold_says_where_it_looked(tmp_path):
    with pytest.raises(EvaluationError, match="lexical/test/gold.csv"):
        read_swuggy(tmp_path, "test")


SBLIMP = "filename,id,voice,type,subtype,transcription,correct"


def test_sblimp_is_paired_by_key_and_averaged_over_voices(tmp_path):
    rows = []
    for kind, subtype, number in [("agr", "x", 1), ("agr", "y", 1), ("npi", "x", 1)]:
        for voice in "AB":
            for correct in (1, 0):
                name = f"{kind}{subtype}{voice}{correct}"
                rows.append(f'{name},{number},{voice},{kind},{subtype},"well, {name}",{correct}')
    np.random.default_rng(3).shuffle(rows)
    pairs = read_sblimp(lay_out(tmp_path / "syntactic" / "dev", rows, header=SBLIMP))
    assert [pair.id for pair in pairs][:3] == ["agr/x/1/A", "agr/x/1/B", "agr/y/1/A"]
    assert all(p.positive.stem[:-1] == p.negative.stem[:-1] for p in pairs)
    assert all(p.positive.stem.endswith("1") for p in pairs)
    scores = {p.id: (1, 0) if p.id in {"agr/x/1/A", "npi/x/1/A", "npi/x/1/B"} else (0, 1)
              for p in pairs}  # fmt: skip
    found = accuracies(judged(pairs, scores), "sblimp")
    # sentences: agr/x .5, agr/y 0, npi/x 1
    assert found[None].value == 0.5
    assert found["agr"].value == 0.25
    assert found["npi"].value == 1.0
    assert "in_vocab" not in found
