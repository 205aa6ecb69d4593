"""StoryCloze's flat folders and the generic pairs.csv."""

from __future__ import annotations

import random

import pytest

from orality.errors import EvaluationError
from orality.evaluation.benchmarks.find import (
    BenchmarkSource,
    choose,
    find_benchmark,
    shipped_benchmark,
)
from orality.evaluation.benchmarks.pairs import BenchmarkPair, read_pairs
from orality.evaluation.benchmarks.storycloze import read_storycloze


def touch(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


@pytest.mark.parametrize("seed", range(20))
def test_pairs_are_made_by_key_in_any_order_of_files(tmp_path, seed):
    rng = random.Random(seed)
    files = [(f"ab-{n}", label) for n in range(12) for label in ("correct", "incorrect")]
    rng.shuffle(files)
    # file_id ties on purpose: it must not matter
    touch(tmp_path, *(f"{rng.randrange(3)}_{pair}_{label}.wav" for pair, label in files))
    pairs = read_storycloze(tmp_path)
    assert [pair.id for pair in pairs] == sorted({pair for pair, _ in files})
    for pair in pairs:
        assert pair.positive.stem.endswith(f"_{pair.id}_correct")
        assert pair.negative.stem.endswith(f"_{pair.id}_incorrect")
        assert pair.cluster == pair.id


def test_numbered_pairs_come_in_the_order_of_their_numbers(tmp_path):
    names = [f"0_{n}_{label}.flac" for n in (10, 9, 2) for label in ("correct", "incorrect")]
    assert [pair.id for pair in read_storycloze(touch(tmp_path, *names))] == ["2", "9", "10"]


def test_transcripts_and_hidden_files_beside_the_recordings_are_ignored(tmp_path):
    touch(tmp_path, "0_a_correct.ogg", "1_a_incorrect.ogg", "0_a_correct.txt", "._x.wav", "README")
    assert len(read_storycloze(tmp_path)) == 1


def test_a_pair_id_may_hold_underscores(tmp_path):
    touch(tmp_path, "0_a_b_correct.wav", "1_a_b_incorrect.wav")
    assert read_storycloze(tmp_path)[0].id == "a_b"


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "holds no <file_id>"),
        (["story.wav"], r"story\.wav is not called"),
        (["0_a_correct.wav"], r"0_a_correct\.wav has no counterpart of pair a"),
        (["0_a_correct.wav", "1_a_correct.wav"], "both the correct story of pair a"),
        (["0_a_right.wav", "1_a_wrong.wav"], r"0_a_right\.wav is not called"),
    ],
)
def test_a_malformed_folder_names_the_file(tmp_path, names, message):
    with pytest.raises(EvaluationError, match=message):
        read_storycloze(touch(tmp_path, *names))


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(EvaluationError, match="nowhere is not a folder"):
        read_storycloze(tmp_path / "nowhere")


def write_csv(folder, *lines):
    touch(folder, "a.wav", "b.wav")
    (folder / "pairs.csv").write_text("\n".join(lines))
    return folder


def test_generic_pairs_carry_groups_and_clusters(tmp_path):
    folder = write_csv(tmp_path, "id,pos,neg,group,cluster", "1,a.wav,b.wav,g,c", "2,b.wav,a.wav,,")
    assert read_pairs(folder) == [
        BenchmarkPair("1", folder / "a.wav", folder / "b.wav", "g", "c"),
        BenchmarkPair("2", folder / "b.wav", folder / "a.wav", None, "2"),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1,a.wav,c.wav", r"line 2: there is no recording 'c\.wav'"),
        ("1,a.wav,../b.wav", "line 2: neg '../b.wav' lies outside"),
        ("1,a.wav,", "line 2: no value for neg"),
        ("1,a.wav,b.wav\n1,b.wav,a.wav", "line 3: the id '1' was used before, in line 2"),
    ],
)
def test_malformed_pairs_name_file_and_line(tmp_path, line, message):
    with pytest.raises(EvaluationError, match=message):
        read_pairs(write_csv(tmp_path, "id,pos,neg", line))


def test_a_benchmark_is_known_by_its_column_or_its_layout(tmp_path):
    stories = touch(tmp_path / "x", "0_a_correct.wav", "1_a_incorrect.wav")
    assert find_benchmark(stories).kind == "storycloze"
    assert find_benchmark(stories, name="T-StoryCloze").kind == "storycloze"
    csv = write_csv(tmp_path / "y", "id,pos,neg", "1,a.wav,b.wav")
    assert find_benchmark(csv).kind == "pairs"
    assert find_benchmark(csv, name="sWUGGY").kind == "swuggy"
    assert len(find_benchmark(csv, name="sWUGGY").read()) == 1
    gold = touch(tmp_path / "z", "a.wav")
    (gold / "gold.csv").write_text("filename,id,voice,type,subtype,correct\na,1,A,t,s,1\n")
    assert find_benchmark(gold).kind == "sblimp"
    with pytest.raises(EvaluationError, match="looks like no benchmark"):
        find_benchmark(touch(tmp_path / "empty"))
    with pytest.raises(EvaluationError, match="there is no benchmark folder"):
        find_benchmark(tmp_path / "missing")


def test_an_unknown_shipped_benchmark_lists_the_shipped_ones():
    for name in ("stories/nothing", "stories/../../testing", "stories/"):
        with pytest.raises(EvaluationError, match="comes with orality; shipped: "):
            shipped_benchmark(name)


def test_a_limit_keeps_a_nested_draw_of_all_groups(tmp_path):
    pairs = [
        BenchmarkPair(f"{n:03d}", tmp_path, tmp_path, "ab"[n >= 50], f"{n:03d}") for n in range(100)
    ]
    few, more = choose(pairs, 20), choose(pairs, 40)
    assert len(few) == 20
    assert set(few) < set(more)
    assert few == sorted(few, key=lambda pair: pair.id)
    assert {pair.group for pair in few} == {"a", "b"}
    assert choose(pairs, None) == choose(pairs, 1000) == pairs
    with pytest.raises(EvaluationError, match="limit of 0"):
        choose(pairs, 0)


def test_a_source_reads_by_kind(tmp_path):
    touch(tmp_path, "0_a_correct.wav", "1_a_incorrect.wav")
    assert len(BenchmarkSource("storycloze", tmp_path).read()) == 1
    with pytest.raises(EvaluationError, match=r"holds no gold\.csv"):
        BenchmarkSource("swuggy", tmp_path).read()
