"""What raters answered: files of the page, batches of Mechanical Turk, tables of webMUSHRA."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orality.errors import EvaluationError
from orality.listening.key import TIE, Key
from orality.untrusted import documents

_SIDES = {"a": 0, "b": 1}


@dataclass(frozen=True, slots=True)
class Answer:
    """`value`: a rating 1 to 5, or the name of the preferred clip, or `tie`."""

    trial: str
    value: int | str


@dataclass(frozen=True, slots=True)
class Session:
    """One rater's answers to one set. `seed` decided the order; None where it is not known."""

    rater: str
    answers: Sequence[Answer]
    set: int | None = None
    seed: int | None = None
    source: str = ""


def read_responses(paths: Sequence[Path], key: Key) -> list[Session]:
    """All sessions in files (or folders of them): .json, .jsonl of the page, .csv of the others.

    EvaluationError names the file for what is damaged, of another test, no answer of a trial, or
    without a rater. A rejected assignment of Mechanical Turk was not paid and is not read.
    """
    files: list[Path] = []
    for path in paths:
        found = (
            sorted(p for p in path.glob("**/*") if p.suffix in _READERS)
            if path.is_dir()
            else [path]
        )
        if not found:
            raise EvaluationError(f"{path} holds no .json, .jsonl or .csv file of answers")
        files += found
    sessions = []
    for path in files:
        if path.suffix not in _READERS:
            raise EvaluationError(f"{path} is no file of answers: give .json, .jsonl or .csv")
        try:
            for data in _READERS[path.suffix](path, key):
                sessions.append(_session(data, key, str(path)))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise EvaluationError(f"{path} cannot be read as answers: {error}") from error
    return sessions


def _session(data: Mapping[str, Any], key: Key, source: str) -> Session:
    if data["test"] != key.test:
        raise EvaluationError(f"{source} answers test {data['test']}, the key is of {key.test}")
    rater = "".join(c for c in str(data["rater"]) if c.isprintable()).strip()
    if not rater:
        raise EvaluationError(f"{source} has answers without a rater; they cannot be analyzed")
    answers = [_answer(row["trial"], row["answer"], key, source) for row in data["answers"]]
    seed = data.get("seed")
    return Session(rater, answers, data.get("set"), None if seed is None else int(seed), source)


def _answer(trial: str, value: Any, key: Key, source: str) -> Answer:
    if trial not in key.trials:
        raise EvaluationError(f"{source} answers a trial {trial!r} that the test does not have")
    allowed: Sequence[Any] = range(1, 6)
    if key.kind == "preference":
        allowed = [*key.trials[trial].clips, TIE]
    if isinstance(value, bool) or value not in allowed:
        raise EvaluationError(f"{source}: {value!r} is no answer of trial {trial}")
    return Answer(trial, value if key.kind == "preference" else int(value))


def _page(path: Path, key: Key) -> Iterator[dict[str, Any]]:
    data = documents.read_json(path, EvaluationError)
    yield from data if isinstance(data, list) else [data]


def _lines(path: Path, key: Key) -> Iterator[dict[str, Any]]:
    for line in documents.read_text(path, EvaluationError).splitlines():
        if line.strip():
            yield documents.load_json(line, path, EvaluationError)


def _table(path: Path, key: Key) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    columns = set(rows[0]) if rows else set()
    if "WorkerId" in columns:
        yield from _mturk(rows)
    elif {"session_test_id", "trial_id", "stimuli", "stimuli_rating"} <= columns:
        yield from _webmushra(rows, key)
    else:
        raise EvaluationError(
            f"{path} is neither a batch of Mechanical Turk (WorkerId, Answer.results) nor "
            "webMUSHRA's lss.csv (session_test_id, trial_id, stimuli, stimuli_rating)"
        )


def _mturk(rows: Sequence[Mapping[str, str]]) -> Iterator[dict[str, Any]]:
    for row in rows:
        if row.get("AssignmentStatus") == "Rejected":
            continue
        text = row.get("Answer.results") or ""
        if not text:
            (answers,) = documents.load_json(
                row["Answer.taskAnswers"], "Answer.taskAnswers", EvaluationError
            )
            text = answers["results"]
        # The worker's id is Mechanical Turk's word, not the page's.
        yield {
            **documents.load_json(text, "Answer.results", EvaluationError),
            "rater": row["WorkerId"],
        }


def _webmushra(rows: Sequence[Mapping[str, str]], key: Key) -> Iterator[dict[str, Any]]:
    sessions: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        trial, value = row["stimuli"], row["stimuli_rating"].strip().lower()
        answer: Any = int(value) if value.isdecimal() else value
        if value in _SIDES and trial in key.trials:
            answer = key.trials[trial].clips[_SIDES[value]]
        rater = row.get("rater") or ""
        sessions.setdefault((rater, row["session_test_id"]), []).append(
            {"trial": trial, "answer": answer}
        )
    for (rater, name), answers in sessions.items():
        test, _, number = name.rpartition("-")
        yield {"test": test, "rater": rater, "set": int(number), "answers": answers}


_READERS = {".json": _page, ".jsonl": _lines, ".csv": _table}
