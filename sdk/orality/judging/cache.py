"""Answers on disk: each is written as soon as it is paid for, and never asked for again."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from orality.errors import JudgeError
from orality.judging.answers import Answer, Usage
from orality.weights import cache_folder

_PATIENCE = 60.0  # seconds, for the locks of other processes
_TABLES = """
CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, time TEXT, answer TEXT, dollars REAL);
CREATE TABLE IF NOT EXISTS spending (id INTEGER PRIMARY KEY, dollars REAL);
CREATE TABLE IF NOT EXISTS batches (id TEXT PRIMARY KEY, time TEXT, keys TEXT);
"""
_SPEND = (
    "INSERT INTO spending VALUES (1, ?) "
    "ON CONFLICT (id) DO UPDATE SET dollars = dollars + excluded.dollars"
)


def question_key(**parts: Any) -> str:
    """sha256 over everything that determines an answer, as canonical JSON."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()


class AnswerCache:
    """An SQLite file of answers, of what was spent on them, and of batches under way.

    None of it is secret but the transcripts, and none of it is ever run. `path` None: a file in
    orality's cache folder. Not for network file systems, whose locks SQLite cannot rely on.
    """

    def __init__(self, path: Path | None, *, name: str) -> None:
        self.path = path.expanduser() if path else cache_folder() / "judges" / f"{name}.sqlite"
        self._lock = threading.Lock()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _make_private(self.path)
            self._file = _opened(self.path)
        except (OSError, sqlite3.Error) as error:
            raise JudgeError(
                f"the cache {self.path} cannot be used: {error}; set `cache` to another file"
            ) from error

    def find(self, keys: Iterable[str]) -> dict[str, Answer]:
        """The answers that are known, by key."""
        found = {}
        for key in keys:
            rows = self._run("SELECT answer, dollars FROM answers WHERE key = ?", key)
            if rows:
                found[key] = _read(*rows[0])
        return found

    def add(self, key: str, answer: Answer, dollars: float) -> Answer:
        """Keep an answer and what it cost; the answer as `find` will give it."""
        row = json.dumps(
            {
                "score": answer.score,
                "reply": answer.reply,
                "reason": answer.reason,
                "metrics": dict(answer.metrics),
                "usage": [answer.usage.input_tokens, answer.usage.output_tokens],
            }
        )
        self._run(
            ("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?)", (key, _now(), row, dollars)),
            (_SPEND, (dollars,)),
        )
        return replace(answer, dollars=dollars)

    def add_lost(self, dollars: float) -> None:
        """Note what an answer may have cost that never arrived."""
        self._run(_SPEND, dollars)

    @property
    def spent(self) -> float:
        """All dollars on record in this file."""
        return float(self._run("SELECT TOTAL(dollars) FROM spending")[0][0])

    def add_batch(self, batch: str, keys: Iterable[str]) -> None:
        """Note a batch that was submitted, with the keys of its questions."""
        row = (batch, _now(), json.dumps(list(keys)))
        self._run("INSERT OR REPLACE INTO batches VALUES (?, ?, ?)", *row)

    def batches(self) -> Mapping[str, list[str]]:
        """The batches under way, oldest first, and the keys of their questions."""
        rows = self._run("SELECT id, keys FROM batches ORDER BY time")
        return {batch: json.loads(keys) for batch, keys in rows}

    def drop_batch(self, batch: str) -> None:
        """Forget a batch that is done."""
        self._run("DELETE FROM batches WHERE id = ?", batch)

    def _run(self, statement: Any, *values: Any) -> list[Any]:
        """One statement with its values, or several (statement, values), as one transaction."""
        many = [(statement, values)] if isinstance(statement, str) else [statement, *values]
        try:
            with self._lock, self._file:
                rows: list[Any] = []
                for text, parameters in many:
                    rows = self._file.execute(text, parameters).fetchall()
                return rows
        except sqlite3.Error as error:
            raise JudgeError(
                f"the cache {self.path} cannot be used: {error}; free some space, remove it if it "
                "is damaged, or set `cache` to another file"
            ) from error


def _make_private(path: Path) -> None:
    """The file for its owner alone, as SQLite then makes those beside it: it holds transcripts."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    for name in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
        if name.exists() and name.stat().st_uid == os.getuid():
            name.chmod(0o600)


def _opened(path: Path) -> sqlite3.Connection:
    """A connection to a file in WAL mode with our tables.

    SQLite waits for other processes' locks, but not where the mode of a new file is changed: there
    whoever comes second is refused at once and has to come again.
    """
    file = sqlite3.connect(path, timeout=_PATIENCE, check_same_thread=False)
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            file.execute("PRAGMA journal_mode=WAL")
            with file:
                file.executescript(_TABLES)
            return file
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                file.close()
                raise
            time.sleep(0.02)


def _read(row: str, dollars: float) -> Answer:
    fields = json.loads(row)
    return Answer(
        fields["score"],
        fields["reply"],
        Usage(*fields["usage"]),
        fields["reason"],
        fields["metrics"],
        dollars,
    )


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
