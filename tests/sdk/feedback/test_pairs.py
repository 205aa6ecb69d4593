from __future__ import annotations

import dataclasses
import errno
import hashlib
import os
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orality import StoreError, Verdict
from orality.errors import OralityError
from orality.feedback import (
    ConfiguredJudge,
    Selection,
    make_pairs,
    median_pace,
    read_pairs,
    reselect,
)
from orality.feedback.seeds import seed_of
from orality.feedback.select import candidate_of
from orality.store import read_records, read_shard, shard_path, shard_paths

VERDICT = Verdict(3.0)
SHARDS = ["train-00000", "train-00001", "dev-00000"]


def tree(run: Path) -> dict[str, str]:
    """sha256 of every file of a round, whatever its name."""
    return {
        str(path.relative_to(run)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in run.rglob("*")
        if path.is_file()
    }


def go_on(work):
    """What a run does when it is continued: look for what is missing, then make it."""
    for stage in work.stages:
        work.missing(stage, SHARDS)
    make_pairs(work)


class Interrupted(BaseException):
    """Not an error that anyone would handle."""


class Countdown:
    """Calls its functions until the last one that it is good for, which is interrupted."""

    def __init__(self, calls: int) -> None:
        self.calls = calls

    def __call__(self, function):
        def counted(*given, **named):
            self.calls -= 1
            if self.calls < 0:
                raise Interrupted
            return function(*given, **named)

        return counted


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """Fills in the files that nobody interrupted, once."""
    return {"run": tmp_path_factory.mktemp("unbroken"), "files": {}}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(cuts=st.lists(st.integers(0, 250), min_size=1, max_size=4), torn=st.booleans())
def test_interruptions_anywhere_never_change_a_byte(
    a_round, unbroken, tmp_path_factory, cuts, torn
):
    work = a_round(tmp_path_factory.mktemp("broken"))
    for cut in cuts:
        countdown = Countdown(cut)
        with pytest.MonkeyPatch.context() as patch:
            for name in ("replace", "open", "mkdir", "unlink"):
                patch.setattr(os, name, countdown(getattr(os, name)))
            patch.setattr(os, "fsync", countdown(lambda handle: None))  # slow, and no one looks
            counted = dataclasses.replace(
                work, slm=countdown(work.slm), advanced=countdown(work.advanced)
            )
            try:
                go_on(counted)
            except Interrupted:
                pass
        if torn:  # as a write that bypassed the store would leave it
            for path in shard_paths(work.folder / "speech")[:1]:
                path.write_bytes(path.read_bytes()[: cut * 7])
    go_on(work)
    if not unbroken["files"]:
        make_pairs(a_round(unbroken["run"]))
        unbroken["files"] = tree(unbroken["run"])
    found = {name: digest for name, digest in tree(work.run).items() if "damaged" not in name}
    assert found == unbroken["files"]


def test_a_shard_is_made_once_and_from_what_is_stored(a_round, tmp_path):
    work = a_round(tmp_path)
    for stage in work.stages:
        made, dollars = work.make(stage, SHARDS)
        assert made == len(read_records(work.folder / stage))
        assert (work.make(stage, SHARDS), dollars) == ((0, 0.0), 0.0)
    ids = Counter(row["id"] for row in read_records(work.folder / "continuations"))
    wanted = {f"{shard}-{n}-{i}" for shard, size in zip(SHARDS, (3, 2, 1), strict=True)
              for n in range(size) for i in range(4)}  # fmt: skip
    assert ids == Counter(dict.fromkeys(wanted, 1))


@pytest.mark.parametrize("at_a_time", [1, 2, 3, 64])
def test_a_prompt_s_samples_do_not_depend_on_its_batch(a_round, tmp_path, at_a_time):
    alone, together = (
        a_round(tmp_path / str(size), prompts_at_a_time=size) for size in (1, at_a_time)
    )
    for work in (alone, together):
        make_pairs(work)
    assert tree(alone.run) == tree(together.run)


def test_a_prompt_s_samples_do_not_depend_on_its_shard(a_round, tmp_path):
    names = {}
    for sizes in ({"train-00000": 3}, {"train-00000": 1}):
        work = a_round(tmp_path / str(sizes["train-00000"]), sizes)
        work.make("continuations", ["train-00000"])
        names[len(names)] = {r["id"]: r["units"] for r in work.read("continuations", "train-00000")}
    assert names[1].items() <= names[0].items()


def test_judges_get_what_they_read_and_no_more(a_round, tmp_path):
    given = []

    class Nosy:
        def score(self, requests):
            given.extend(requests)
            return [dataclasses.replace(VERDICT) for _ in requests]

    def judged_by(reads):
        given.clear()
        judge = ConfiguredJudge(build=Nosy, name="nosy", reads=frozenset(reads), scale=(1.0, 5.0))
        work = a_round(tmp_path / "-".join(reads), judges={"verdicts": judge})
        make_pairs(work)
        return work, given[0]

    work, request = judged_by(["units"])
    assert work.stages == ["continuations", "verdicts", "pairs"]
    assert request.prompt_units.ids.tolist() == [0, 1, 2]
    assert request.id == "dev-00000-0-0"
    first = work.read("continuations", "dev-00000")[0]
    assert request.continuation_units.ids.tolist() == first["units"]
    work, request = judged_by(["text"])
    assert (request.prompt_units, request.continuation_units) == (None, None)
    assert request.prompt_text == "say 0"
    assert request.continuation_text == work.read("transcripts", "dev-00000")[0]["text"]


def test_the_dollars_of_a_stage_are_those_of_its_verdicts(a_round, tmp_path):
    class Expensive:
        def score(self, requests):
            return [dataclasses.replace(VERDICT, metrics={"dollars": 0.25}) for _ in requests]

    judge = ConfiguredJudge(build=Expensive, name="x", reads=frozenset({"units"}), scale=(1.0, 5.0))
    work = a_round(tmp_path, judges={"verdicts": judge})
    work.make("continuations", SHARDS)
    assert work.make("verdicts", SHARDS) == (24, 6.0)


def test_selecting_anew_gives_what_the_thresholds_would_have_given(a_round, tmp_path):
    strict = Selection(rejected=1, chosen=5, max_auto_bleu=1.0)
    work, other = a_round(tmp_path / "a"), a_round(tmp_path / "b", selection=strict)
    for each in (work, other):
        make_pairs(each)
    folder = tmp_path / "selected"
    made = reselect(work, strict, folder)
    assert made == len(read_pairs(folder)) > 0
    for shard in SHARDS:
        assert shard_path(folder, shard).read_bytes() == (
            shard_path(other.folder / "pairs", shard).read_bytes()
        )
    assert reselect(work, strict, folder) == made  # again, and nothing changes


def test_pairs_hold_what_their_continuations_hold(a_round, tmp_path):
    work = a_round(tmp_path)
    make_pairs(work)
    drawn = {row["id"]: row for row in read_records(work.folder / "continuations")}
    verdicts = {row["id"]: row for row in read_records(work.folder / "verdicts")}
    prompts = {row["id"]: row for row in read_records(work.run / "prompts")}
    pairs = read_records(work.folder / "pairs")
    assert 0 < len({pair["prompt_id"] for pair in pairs}) < 6
    for pair in pairs:
        assert pair["prompt_units"] == prompts[pair["prompt_id"]]["units"]
        assert pair["split"] == prompts[pair["prompt_id"]]["split"]
        for end, better in (("chosen", True), ("rejected", False)):
            row = drawn[pair[f"{end}_id"]]
            assert row["prompt_id"] == pair["prompt_id"] == pair["id"].partition("#")[0]
            assert pair[f"{end}_units"] == row["units"]
            assert pair[f"reference_{end}"] == row["log_prob"]
            assert pair["reference"] == row["reference"] == "fingerprint"
            assert pair[f"{end}_score"] == verdicts[row["id"]]["score"]
            assert (pair[f"{end}_score"] >= 3) is better


def test_ties_are_all_stored_and_share_a_draw(a_round, tmp_path):
    work = a_round(tmp_path)
    make_pairs(work)
    verdicts = {row["id"]: row for row in read_records(work.folder / "verdicts")}
    texts = {row["id"]: row for row in read_records(work.folder / "transcripts")}
    stored = read_records(work.folder / "pairs")
    assert len({pair["id"] for pair in stored}) == len(stored)
    for prompt in {pair["prompt_id"] for pair in stored}:
        names = [f"{prompt}-{index}" for index in range(4)]
        candidates = [candidate_of(verdicts[name], texts[name]) for name in names]
        picked = work.selection.pick(candidates, seed=seed_of(1, "select", prompt))
        made = [pair for pair in stored if pair["prompt_id"] == prompt]
        assert [(pair["chosen_id"], pair["rejected_id"]) for pair in made] == [
            (pair.chosen.id, pair.rejected.id) for pair in picked
        ]
        assert [pair["id"] for pair in made] == [
            prompt if number == 1 else f"{prompt}#{number}" for number in range(1, len(made) + 1)
        ]
        assert {pair["draw"] for pair in made} == {prompt if len(made) > 1 else None}


def test_no_pairs_are_a_shard_too(a_round, tmp_path):
    work = a_round(tmp_path, selection=Selection(rejected=0, chosen=6, max_auto_bleu=1.0))
    make_pairs(work)
    assert [path.stem for path in shard_paths(work.folder / "pairs")] == sorted(SHARDS)
    assert read_records(work.folder / "pairs") == []


def test_selecting_anew_names_a_damaged_shard(a_round, tmp_path):
    work = a_round(tmp_path)
    make_pairs(work)
    path = shard_path(work.folder / "verdicts", "train-00001")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StoreError, match="train-00001.parquet is damaged"):
        reselect(work, Selection(rejected=1, chosen=5, max_auto_bleu=1.0), tmp_path / "anew")


def test_the_pace_is_the_median_over_what_is_used(a_round, tmp_path):
    # three units and a cut at one second each; the skipped rows say nothing
    assert median_pace(a_round(tmp_path).prompts) == 3.0


def test_a_full_disk_stops_the_round_and_later_it_goes_on(a_round, tmp_path, monkeypatch):
    expected, work = a_round(tmp_path / "a"), a_round(tmp_path / "b")
    make_pairs(expected)
    replace, left = os.replace, [20]

    def full(source, target):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(StoreError, match="disk is full.*run the same command again"):
            make_pairs(work)
    assert not list(work.run.rglob(".*"))  # nothing half-written takes the little space there is
    go_on(work)
    assert tree(work.run) == tree(expected.run)


def test_a_judge_that_forgets_a_request_stops_before_anything_is_stored(a_round, tmp_path):
    class Forgetful:
        def score(self, requests):
            return [VERDICT] * (len(requests) - 1)

    judge = ConfiguredJudge(build=Forgetful, name="x", reads=frozenset({"units"}), scale=(1.0, 5.0))
    work = a_round(tmp_path, judges={"verdicts": judge})
    with pytest.raises(OralityError, match="3 verdicts for 4 requests"):
        make_pairs(work)
    assert len(read_shard(shard_path(work.folder / "continuations", "dev-00000"), ["id"])) == 4
    assert shard_paths(work.folder / "verdicts") == []


def test_a_shard_s_columns_are_those_of_the_schema(a_round, tmp_path):
    from orality.feedback.schemas import PAIRS

    work = a_round(tmp_path)
    make_pairs(work)
    stored = pq.read_schema(shard_path(work.folder / "pairs", "train-00000"))
    assert stored.remove_metadata() == PAIRS
