"""A corpus is a shipped name, a folder of recordings or a manifest: all utterances."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from dataclasses import dataclass, replace
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any

from orality.corpus.alignments import Alignments
from orality.corpus.layouts import AUDIO_SUFFIXES, scan
from orality.errors import CorpusError
from orality.types import Word

SHIPPED = {"stories": "data/prompts", "toy": "data/toy"}
SPLITS = ("train", "dev", "test")


@dataclass(frozen=True, slots=True)
class Utterance:
    """A recording and what is known about it; `words` may be empty, `text` may be None.

    `split`: train prompts make preference pairs, dev chooses the checkpoint, test is evaluated.
    """

    id: str
    audio: Path
    text: str | None
    words: tuple[Word, ...]
    split: str
    language: str


def load_corpus(
    path: str | Path, *, language: str = "en", alignments: Path | None = None
) -> list[Utterance]:
    """The utterances of a corpus, ordered by id.

    A manifest (JSONL, or CSV with a header) has rows with `audio` (relative to the manifest) that
    may hold `id`, `text`, `words` ([[word, start, end], ...] in seconds; JSON in a CSV), `split`
    and `language`. A folder may hold a `manifest.jsonl`; without one, every recording below it is
    taken: LibriSpeech and Multilingual LibriSpeech as distributed, elsewhere a text file of the
    same stem is the transcript. Words that are not in the manifest are looked for in the folder
    `alignments` (default: a corpus folder itself), see `Alignments`. Without splits, the order of
    the ids' hashes gives 80 % train, 10 % dev and 10 % test, at least one of each from three
    recordings on.
    Raises CorpusError when there is nothing, or a row or an alignment is malformed.
    """
    source = Path(path)
    if str(path) in SHIPPED:  # a folder of that name is still reached as ./stories
        source = Path(str(resources.files("orality"))) / SHIPPED[str(path)]
    if source.is_dir():
        manifest = source / "manifest.jsonl"
        rows = _read_manifest(manifest) if manifest.exists() else scan(source)
        root = source
        alignments = alignments or source
    elif source.is_file():
        rows, root = _read_manifest(source), source.parent
    else:
        raise CorpusError(
            f"there is no corpus at {path}; give a folder of recordings, a JSONL or CSV manifest, "
            f"or one of the shipped names {', '.join(SHIPPED)}"
        )
    if not rows:
        raise CorpusError(
            f"corpus {path} holds no recordings; looked for {', '.join(sorted(AUDIO_SUFFIXES))}"
        )
    splits = _default_splits([str(row["id"]) for row in rows])
    utterances = [_utterance(row, root, language, splits) for row in rows]
    if alignments is not None:
        if not alignments.is_dir():
            raise CorpusError(f"there is no folder of alignments at {alignments}")
        known = Alignments(alignments)
        utterances = [item if item.words else _aligned(item, known) for item in utterances]
    utterances.sort(key=lambda item: item.id)
    for first, second in pairwise(utterances):
        if first.id == second.id:
            raise CorpusError(f"corpus {path} has the id {first.id!r} twice")
    return utterances


def _read_manifest(path: Path) -> list[dict[str, Any]]:
    rows = []
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(f"manifest {path} cannot be read: {error}") from error
    if path.suffix.lower() == ".csv":
        return _read_csv(path, text)
    lines = text.splitlines()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise CorpusError(f"{where} is not JSON: {error}") from error
        if not isinstance(row, dict) or not isinstance(row.get("audio"), str):
            raise CorpusError(f"{where} must be an object with the key 'audio', a path")
        rows.append({"id": Path(row["audio"]).stem, **row, "_where": where})
    return rows


def _read_csv(path: Path, text: str) -> list[dict[str, Any]]:
    table = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    rows = []
    try:
        for line in table:
            where = f"{path}, line {table.line_num}"
            row: dict[str, Any] = {key: value for key, value in line.items() if key and value}
            if None in line or not isinstance(row.get("audio"), str):
                raise CorpusError(f"{where} must have a value in the column 'audio', and no more "
                                  f"fields than the header's {table.fieldnames}")  # fmt: skip
            if "words" in row:
                row["words"] = json.loads(row["words"])
            rows.append({"id": Path(row["audio"]).stem, **row, "_where": where})
    except (csv.Error, json.JSONDecodeError) as error:
        raise CorpusError(f"{path}, line {table.line_num}: {error}") from error
    return rows


def _aligned(item: Utterance, known: Alignments) -> Utterance:
    words = known[item.id] or known[item.audio.stem]
    if not words:
        return item
    text = item.text or " ".join(word.text for word in words)
    return replace(item, words=words, text=text)


def _utterance(row: dict[str, Any], root: Path, language: str, splits: dict[str, str]) -> Utterance:
    name = str(row["id"])
    try:
        words = tuple(Word(str(w), float(a), float(b)) for w, a, b in row.get("words") or ())
    except (TypeError, ValueError) as error:
        raise CorpusError(f"{row['_where']}: words must be [word, start, end] triples") from error
    split = row.get("split") or splits[name]
    if split not in SPLITS:
        raise CorpusError(f"{row['_where']}: split is {split!r}, it must be one of {SPLITS}")
    return Utterance(
        id=name,
        audio=root / row["audio"],
        text=row.get("text"),
        words=words,
        split=split,
        language=row.get("language") or language,
    )


def _default_splits(names: list[str]) -> dict[str, str]:
    ordered = sorted(names, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    share = max(1, len(ordered) // 10) if len(ordered) >= 3 else 0
    chosen = dict.fromkeys(ordered, "train")
    chosen |= dict.fromkeys(ordered[:share], "dev")
    chosen |= dict.fromkeys(ordered[share : 2 * share], "test")
    return chosen
