"""SALMon's eight parts as they lie on disk, and StoryCloze's flat folder, in any order of files."""

from __future__ import annotations

import random

import pytest

from orality.errors import EvaluationError
from orality.evaluation import find_benchmark
from orality.evaluation.benchmarks.salmon import PARTS, read_salmon

NAMES = ("sample_{}_a_positive.wav", "sample_{}_b_negative.wav")


def lay_out(folder, *, parts=PARTS, samples=12, seed=0):
    files = [
        folder / part / name.format(number)
        for part in parts
        for number in range(samples)
        for name in NAMES
    ]
    random.Random(seed).shuffle(files)
    for path in files:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


@pytest.mark.parametrize("part", PARTS)
def test_each_part_may_stand_alone(tmp_path, part):
    pairs = read_salmon(lay_out(tmp_path, parts=[part]) / part)
    assert [pair.id for pair in pairs] == [f"{part}/{n}" for n in range(12)]
    assert {pair.group for pair in pairs} == {part}
    assert pairs[2].positive.name == "sample_2_a_positive.wav"
    assert pairs[2].negative.name == "sample_2_b_negative.wav"


@pytest.mark.parametrize("seed", range(20))
def test_pairs_do_not_depend_on_the_order_of_files(tmp_path, seed):
    pairs = read_salmon(lay_out(tmp_path, seed=seed, samples=3))
    assert [pair.id for pair in pairs] == [f"{part}/{n}" for part in PARTS for n in range(3)]
    assert all(pair.positive.stem.endswith("positive") for pair in pairs)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("sample_1_c.wav", "sample 1 has 3 recordings, wanted 2"),
        ("sample_9_a.wav", "sample 9 has 1 recordings"),
        ("other.wav", "is not called sample_<i>_"),
    ],
)
def test_a_malformed_part_names_what_is_wrong(tmp_path, name, message):
    (lay_out(tmp_path, samples=2) / "bg_alignment" / name).touch()
    with pytest.raises(EvaluationError, match=message):
        read_salmon(tmp_path)


def test_an_empty_folder_is_no_salmon(tmp_path):
    with pytest.raises(EvaluationError, match="holds no sample_"):
        read_salmon(tmp_path)
    with pytest.raises(EvaluationError, match="is not a folder"):
        read_salmon(tmp_path / "nowhere")


def test_salmon_is_known_by_name_or_layout(tmp_path):
    lay_out(tmp_path / "s", samples=1)
    for source in (
        find_benchmark(tmp_path / "s"),
        find_benchmark(tmp_path / "s" / "rir_consistency"),
        find_benchmark(tmp_path / "s", name="SALMon"),
    ):
        assert source.kind == "salmon"
    assert len(find_benchmark(tmp_path / "s").read()) == 8
