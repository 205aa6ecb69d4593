"""Speech-Text Sentiment Preservation (Spirit LM): does what is generated keep the prompt's mood?

Manifests are JSON lines with id, wav_path and emotion or sentiment. Ids are signed 64-bit numbers
and are kept as text.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orality.errors import EvaluationError
from orality.untrusted import documents

SENTIMENTS = ("positive", "negative", "neutral")
_OF_EMOTION = {
    "happy": "positive",
    "amused": "positive",
    "angry": "negative",
    "sad": "negative",
    "default": "neutral",
    "neutral": "neutral",
}


@dataclass(frozen=True, slots=True)
class StspRecord:
    """A prompt; `path` is None for one of text (`text`), `sentiment` one of SENTIMENTS."""

    id: str
    sentiment: str
    path: Path | None = None
    text: str | None = None
    emotion: str | None = None
    speaker: str | None = None
    split: str | None = None


@dataclass(frozen=True, slots=True)
class StspAccuracy:
    """The share of `n` prompts whose sentiment was kept; a third is chance.

    `n_missing` prompts have no prediction and count as wrong (the published code leaves them out).
    `by_sentiment`: the share for each sentiment that occurs among the prompts.
    """

    value: float
    n: int
    n_missing: int
    by_sentiment: Mapping[str, float]


def sentiment_of(label: str) -> str:
    """A sentiment's own name, or that of an emotion; EvaluationError for another label."""
    found = str(label).strip().lower()
    if found in SENTIMENTS:
        return found
    if found not in _OF_EMOTION:
        raise EvaluationError(
            f"{label!r} is neither a sentiment ({', '.join(SENTIMENTS)}) nor one of the emotions "
            f"{', '.join(_OF_EMOTION)}"
        )
    return _OF_EMOTION[found]


def read_stsp(manifest: str | Path, *, root: str | Path | None = None) -> list[StspRecord]:
    """The prompts of a manifest, in its order; `wav_path`s lie below `root`, or the manifest.

    Raises EvaluationError, naming the line, for one that is damaged, has no id or label, or repeats
    an id. Whether recordings exist is left to who reads them.
    """
    path = Path(manifest)
    base = path.parent if root is None else Path(root)
    records: dict[str, StspRecord] = {}
    for where, row in _lines(path):
        label = row.get("sentiment", row.get("emotion"))
        if label is None:
            raise EvaluationError(f"{where}: wanted a sentiment or an emotion")
        key = _id(row, where, records)
        wav = row.get("wav_path")
        try:
            sentiment = sentiment_of(label)
        except EvaluationError as error:
            raise EvaluationError(f"{where}: {error}") from error
        records[key] = StspRecord(
            key,
            sentiment,
            path=None if wav is None else base / str(wav),
            **{name: row.get(name) for name in ("text", "emotion", "speaker", "split")},
        )
    if not records:
        raise EvaluationError(f"{path} holds no prompts")
    return list(records.values())


def read_stsp_predictions(path: str | Path) -> dict[str, str]:
    """Predicted sentiments by id from JSON lines {"id": ..., "pred": ...}; emotions are mapped."""
    found: dict[str, str] = {}
    for where, row in _lines(Path(path)):
        key = _id(row, where, found)
        try:
            found[key] = sentiment_of(row["pred"])
        except (KeyError, EvaluationError) as error:
            raise EvaluationError(f"{where}: {error}") from error
    return found


def stsp_accuracy(
    prompts: Sequence[StspRecord] | Mapping[str, str], predictions: Mapping[str, str]
) -> StspAccuracy:
    """How often the generated sentiment is the prompt's.

    `prompts`: records, or sentiments by id; `predictions`: sentiments or emotions by id. Raises
    EvaluationError for a prediction of no prompt, an unknown label, or no prompts.
    """
    if isinstance(prompts, Mapping):
        gold = {str(key): sentiment_of(label) for key, label in prompts.items()}
    else:
        gold = {record.id: record.sentiment for record in prompts}
    said = {str(key): sentiment_of(label) for key, label in predictions.items()}
    unknown = [key for key in said if key not in gold]
    if unknown:
        raise EvaluationError(
            f"{len(unknown)} predictions belong to no prompt, {', '.join(unknown[:3])} among them"
        )
    if not gold:
        raise EvaluationError("an accuracy needs at least one prompt")
    kept: dict[str, list[bool]] = {}
    for key, sentiment in gold.items():
        kept.setdefault(sentiment, []).append(said.get(key) == sentiment)
    shares = {name: math.fsum(kept[name]) / len(kept[name]) for name in SENTIMENTS if name in kept}
    right = sum(sum(found) for found in kept.values())
    return StspAccuracy(right / len(gold), len(gold), len(gold) - len(said), shares)


def _id(row: Mapping[str, Any], where: str, seen: Mapping[str, object]) -> str:
    if "id" not in row:
        raise EvaluationError(f"{where}: wanted an id")
    key = str(row["id"])
    if key in seen:
        raise EvaluationError(f"{where}: the id {key} was given before")
    return key


def _lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    lines = documents.read_text(path, EvaluationError).splitlines()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        row = documents.load_json(line, f"{path}, line {number}", EvaluationError)
        if not isinstance(row, dict):
            raise EvaluationError(f"{path}, line {number}: wanted an object, got {row!r}")
        yield f"{path}, line {number}", row
