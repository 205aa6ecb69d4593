from __future__ import annotations

import multiprocessing
import sqlite3
import time

import pytest

from orality import JudgeError
from orality.judging.cache import AnswerCache


def _open(path, together, failures):
    together.wait()
    try:
        assert AnswerCache(path, name="x").spent == 0.0
    except JudgeError as error:
        failures.put(str(error))


def test_processes_that_open_a_new_cache_at_once_all_get_it(tmp_path):
    context = multiprocessing.get_context("fork")
    failures = context.SimpleQueue()
    for number in range(12):
        together = context.Barrier(4)
        path = tmp_path / f"{number}.sqlite"
        workers = [context.Process(target=_open, args=(path, together, failures)) for _ in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
            assert worker.exitcode == 0
    assert failures.empty()


def test_a_lock_that_stays_is_told(tmp_path, monkeypatch):
    path = tmp_path / "answers.sqlite"
    monkeypatch.setattr("orality.judging.cache._PATIENCE", 0.1)
    other = sqlite3.connect(path)
    other.execute("BEGIN EXCLUSIVE")
    began = time.monotonic()
    with pytest.raises(JudgeError, match="database is locked; set `cache` to another file"):
        AnswerCache(path, name="x")
    assert time.monotonic() - began < 10
    other.close()
