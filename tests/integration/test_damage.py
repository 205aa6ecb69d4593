"""What befalls a run's files between two commands: cuts, changed bytes, another corpus."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from orality import Recipe, StoreError
from orality.run import build_pairs, reselect_pairs
from orality.store import Run, shard_paths
from orality.testing.tones import write_toy_corpus

STAGES = ("continuations", "speech", "transcripts", "verdicts", "pairs")


def recipe(corpus="toy"):
    data = Recipe.load("toy").model_dump()
    data["corpus"] |= {"path": str(corpus), "max_prompts": 6, "max_dev_prompts": 2}
    data["sampling"] |= {"samples_per_prompt": 3, "max_seconds": 0.6}
    data["evaluation"]["prompts"] = 0
    return Recipe.parse(data | {"shard_size": 2})


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    run = tmp_path_factory.mktemp("finished") / "run"
    build_pairs(recipe(), run)
    return run


@pytest.fixture
def run(finished, tmp_path):
    return Path(shutil.copytree(finished, tmp_path / "run"))


def files(run):
    told = {"manifest.json", "metrics.jsonl", ".lock"}
    return {
        str(path.relative_to(run)): path.read_bytes()
        for path in run.rglob("*")
        if path.is_file() and path.name not in told and "tracking" not in path.parts
    }


@pytest.mark.parametrize("stage", ["prompts", *STAGES])
def test_a_cut_shard_of_any_stage_is_set_aside_and_made_anew(finished, run, stage, caplog):
    folder = run / stage if stage == "prompts" else run / "round-1" / stage
    path = random.Random(stage).choice(shard_paths(folder))
    torn = path.read_bytes()[: random.Random(stage).randrange(path.stat().st_size)]
    path.write_bytes(torn)
    build_pairs(recipe(), run)
    found = files(run)
    aside = path.with_name(f"{path.name}.damaged")
    assert found.pop(str(aside.relative_to(run))) == torn
    assert found == files(finished)
    assert f"{path.name} is damaged" in caplog.text


def test_all_shards_of_a_stage_may_be_gone(finished, run):
    shutil.rmtree(run / "round-1" / "transcripts")
    shutil.rmtree(run / "round-1" / "pairs")
    build_pairs(recipe(), run)
    assert files(run) == files(finished)


def test_a_changed_byte_is_named_and_its_shard_alone_is_made_anew(finished, run):
    path = shard_paths(run / "round-1" / "verdicts")[0]
    whole = path.read_bytes()
    place = whole.index(b"\x28\xb5\x2f\xfd") + 8  # in the first page
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    with pytest.raises(StoreError, match=f"{path.name} is damaged.*run the same command again"):
        reselect_pairs(recipe(), run, rejected=2, chosen=4)
    shutil.rmtree(run / "round-1" / "pairs-2-4-0.5", ignore_errors=True)
    path.unlink()  # as the message says
    build_pairs(recipe(), run)
    assert files(run) == files(finished)


def test_a_second_run_in_the_same_folder_is_refused(run):
    before = files(run)
    with Run(run).lock(), pytest.raises(StoreError, match="another process is working in"):
        build_pairs(recipe(), run)
    assert files(run) == before


def test_prompts_of_a_corpus_that_has_changed_are_not_mixed(tmp_path):
    corpus, out = tmp_path / "corpus", tmp_path / "run"
    corpus.mkdir()
    write_toy_corpus(corpus, utterances=20)
    build_pairs(recipe(corpus), out)
    build_pairs(recipe(corpus), out)  # unchanged
    before = files(out)
    write_toy_corpus(corpus, utterances=30)
    with pytest.raises(StoreError, match="other recordings than when .*nothing was mixed"):
        build_pairs(recipe(corpus), out)
    assert files(out) == before
