from __future__ import annotations

import json
import logging
import os
import signal
import threading

import pytest

from orality import Recipe
from orality.feedback import Selection
from orality.run.stages import RoundSpec
from orality.run.workers import (
    Job,
    Ledger,
    RowsDone,
    ShardsDone,
    Worker,
    WorkerSpec,
    stop_on_interrupt,
    work_in_process,
)
from orality.store import read_metrics

SELECTION = Selection(rejected=2, chosen=4, max_auto_bleu=0.1, by="perplexity")


def test_the_first_interrupt_asks_and_the_second_stops(caplog):
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), stop_on_interrupt() as asked:  # noqa: PT012
        assert not asked()
        os.kill(os.getpid(), signal.SIGINT)
        assert asked()
        assert "press Ctrl-C again to stop now" in caplog.text
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_an_interrupt_is_heard_although_something_is_being_written(monkeypatch):
    def reentrant(*_):
        raise RuntimeError("reentrant call inside <_io.BufferedWriter name='<stderr>'>")

    monkeypatch.setattr(logging.getLogger("orality.run.workers.interrupt"), "warning", reentrant)
    with stop_on_interrupt() as asked:
        os.kill(os.getpid(), signal.SIGINT)
        assert asked()


def test_other_threads_leave_signals_alone():
    before, seen = signal.getsignal(signal.SIGINT), []

    def work():
        with stop_on_interrupt() as asked:
            seen.append((signal.getsignal(signal.SIGINT), asked()))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(before, False)]


def test_a_worker_spec_survives_the_way_to_another_machine():
    round_spec = RoundSpec(
        name="round-2",
        adapters=("round-1/train/adapter",),
        counts={"train-00000": 64},
        max_new_units=175,
        selection=SELECTION,
    )
    recipe = Recipe.load("toy")
    for spec in (
        WorkerSpec(recipe=recipe, folder="/run", where="/home", round=round_spec),
        WorkerSpec(recipe=recipe, folder="/run"),
    ):
        assert WorkerSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


def test_only_judges_are_given_shards_together(cutting, monkeypatch):
    worker, made = a_worker(cutting, monkeypatch)
    worker.do(Job(("a", "b")), lambda: False)
    assert made == [
        ("continuations", ("a",)),
        ("continuations", ("b",)),
        ("verdicts", ("a", "b")),
        ("pairs", ("a",)),
        ("pairs", ("b",)),
    ]


@pytest.mark.parametrize("done", range(5))
def test_a_worker_stops_before_the_next_shard_of_a_stage(cutting, monkeypatch, done):
    worker, made = a_worker(cutting, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        worker.do(Job(("a", "b")), lambda: len(made) == done)
    assert len(made) == done


def a_worker(cutting, monkeypatch):
    class Work:
        stages, judges = ("continuations", "verdicts", "pairs"), ("verdicts",)

        def make(self, stage, shards):
            made.append((stage, shards))
            return 1, 0.0

    made = []
    cut = cutting()
    round_spec = RoundSpec(
        name="round-1", adapters=(), counts={}, max_new_units=1, selection=SELECTION
    )
    monkeypatch.setattr(Worker, "round", Work())
    spec = WorkerSpec(recipe=cut.recipe, folder=cut.folder, round=round_spec)
    return Worker(spec, lambda event: None), made


def test_cutting_stops_between_shards_too(cutting, chunks):
    made = []
    with pytest.raises(KeyboardInterrupt):
        work_in_process()(
            cutting(),
            chunks(range(5)),
            lambda event: made.append(event) if isinstance(event, ShardsDone) else None,
            lambda: len(made) == 2,
        )
    assert [event.shards for event in made] == [("train-00000",), ("train-00001",)]


def test_a_given_corpus_is_not_read_again(cutting, chunks):
    from orality.corpus import load_corpus

    corpus = load_corpus("toy")
    made = []
    work_in_process(corpus=corpus)(
        cutting(path="no/such/corpus"), chunks([0]), made.append, lambda: False
    )
    assert [event.rows for event in made if isinstance(event, ShardsDone)] == [2]


def test_the_ledger_adds_up_what_workers_tell(tmp_path):
    shown = []
    ledger = Ledger(
        tmp_path, "round-1", {"speech": 30, "verdicts": 30}, {"speech": 10},
        lambda stage, done, total, note="": shown.append((stage, done, total, note)),
    )  # fmt: skip
    assert shown == [("round-1: speech", 10, 30, ""), ("round-1: verdicts", 0, 30, "")]
    shown.clear()
    ledger.add(RowsDone("speech", 5))
    ledger.add(ShardsDone(stage="speech", shards=("train-00001",), rows=5, seconds=2.0, worker=1))
    ledger.add(
        ShardsDone(stage="speech", shards=("train-00002",), rows=0, seconds=0.0)
    )  # was there
    ledger.add(RowsDone("verdicts", 15))
    ledger.add(ShardsDone(stage="verdicts", shards=("a", "b"), rows=15, seconds=1.0, dollars=0.25))
    ledger.add(ShardsDone(stage="verdicts", shards=("c",), rows=5, seconds=1.0, dollars=0.5))
    assert shown[1] == ("round-1: speech", 15, 30, "")
    assert [note for *_, note in shown] == ["", "", "", "", "$0.25", "$0.75"]
    lines = list(read_metrics(tmp_path))
    assert [(row["stage"], row["shards"], row["rows"], row["worker"]) for row in lines] == [
        ("speech", ["train-00001"], 5, 1),
        ("verdicts", ["a", "b"], 15, 0),
        ("verdicts", ["c"], 5, 0),
    ]
    assert [(row["done"], row["total"], row["dollars"]) for row in lines] == [
        (15, 30, 0.0), (15, 30, 0.25), (15, 30, 0.5),
    ]  # fmt: skip
