"""What was said when: word times from the files that forced aligners leave behind."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from orality.corpus.textgrid import read_textgrid
from orality.errors import CorpusError
from orality.types import Word

SILENCE = frozenset({"", "sil", "sp", "<sil>", "<eps>", "<s>", "</s>"})


class Alignments:
    """The words of utterances, found by their ids; files of single utterances are read when asked.

    Below `folder`: `ID.TextGrid`; `ID.json` with `aligned_text`, a list of [word, start, end];
    `*.alignment.txt` (LibriSpeech's condensed form); `*.ctm`. Times are in seconds.
    """

    def __init__(self, folder: Path) -> None:
        self._single: dict[str, Path] = {}
        self._words: dict[str, list[Word]] = {}
        for path in sorted(folder.rglob("*")):
            suffix = path.suffix.lower()
            if suffix == ".textgrid" or (suffix == ".json" and path.with_suffix("").suffix == ""):
                self._single.setdefault(path.stem, path)
            elif path.name.endswith(".alignment.txt"):
                self._words |= dict(_librispeech(path))
            elif suffix == ".ctm":
                self._words |= _ctm(path)

    def __getitem__(self, name: str) -> tuple[Word, ...]:
        """The words of an utterance without silence, none where nothing is known of it.

        Raises CorpusError when its file is malformed.
        """
        words = self._words.get(name)
        if words is None and name in self._single:
            path = self._single[name]
            words = read_textgrid(path) if path.suffix.lower() != ".json" else _json(path)
        return tuple(word for word in words or () if word.text.lower() not in SILENCE)


def _librispeech(path: Path) -> Iterator[tuple[str, list[Word]]]:
    """Lines `ID "WORD,,WORD" "1.2,1.5,2.0"`: an empty word is silence, times are the ends."""
    for where, line in _lines(path):
        found = re.fullmatch(r'(\S+)\s+"([^"]*)"\s+"([^"]*)"', line)
        if found is None:
            raise CorpusError(f'{where} is no line of the form: ID "words" "ends"')
        name, texts = found[1], found[2].split(",")
        ends = _numbers(found[3].split(","), where)
        if len(texts) != len(ends):
            raise CorpusError(f"{where} has {len(texts)} words and {len(ends)} times")
        starts = [0.0, *ends[:-1]]
        yield name, [Word(*word) for word in zip(texts, starts, ends, strict=True)]


def _ctm(path: Path) -> dict[str, list[Word]]:
    """Lines `ID CHANNEL START SECONDS WORD ...`, as NeMo and Kaldi write them."""
    found: dict[str, list[Word]] = {}
    for where, line in _lines(path):
        fields = line.split()
        if line.startswith(";;"):
            continue
        if len(fields) < 5:
            raise CorpusError(
                f"{where} has {len(fields)} fields, wanted ID CHANNEL START SECONDS WORD"
            )
        start, seconds = _numbers(fields[2:4], where)
        found.setdefault(fields[0], []).append(Word(fields[4], start, start + seconds))
    return {name: sorted(words, key=lambda word: word.start) for name, words in found.items()}


def _json(path: Path) -> list[Word]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        rows = content.get("aligned_text") if isinstance(content, dict) else None
        if rows is None:
            return []  # some other file of that name
        return [Word(str(text), float(start), float(end)) for text, start, end in rows]
    except (OSError, ValueError, TypeError) as error:
        raise CorpusError(f"{path} is no alignment: {error}") from error


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(f"alignment {path} cannot be read: {error}") from error
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield f"{path}, line {number}", line.strip()


def _numbers(fields: list[str], where: str) -> list[float]:
    try:
        return [float(field) for field in fields]
    except ValueError as error:
        raise CorpusError(f"{where}: {error}") from error
