"""What was said when: word times from the files that forced aligners leave behind."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

from orality.audio import printable
from orality.corpus.files import Names, files_below
from orality.corpus.names import LineIndex, NameIndex
from orality.corpus.textgrid import read_textgrid
from orality.errors import CorpusError
from orality.types import Word

SILENCE = frozenset({"", "sil", "sp", "<sil>", "<eps>", "<s>", "</s>"})


class Alignments:
    """The words of utterances, found by their ids; only names are held, files are read when asked.

    Below `folder`: `ID.TextGrid`; `ID.json` with `aligned_text`, a list of [word, start, end];
    `*.alignment.txt` (LibriSpeech's condensed form); `*.ctm`. Times are in seconds.
    """

    def __init__(self, folder: Path) -> None:
        lists: dict[bytes, list[Path]] = {b".alignment.txt": [], b".ctm": []}

        def single() -> Iterator[bytes]:
            for name in files_below(folder):
                for suffix, paths in lists.items():
                    if name.lower().endswith(suffix):
                        paths.append(folder / os.fsdecode(name))
                if _is_single(name):
                    yield name

        self._single = Names(folder, single())
        self._by_stem = NameIndex((_stem(name), place) for place, name in enumerate(self._single))
        self._condensed = LineIndex(lists[b".alignment.txt"])
        self._ctm = LineIndex(lists[b".ctm"], comment=";;")

    def __getitem__(self, name: str) -> tuple[Word, ...]:
        """The words of an utterance without silence, none where nothing is known of it.

        Raises CorpusError when its file is malformed.
        """
        words = self._listed(name) or self._alone(name)
        return tuple(word for word in words if word.text.lower() not in SILENCE)

    def _listed(self, name: str) -> list[Word]:
        condensed = list(self._condensed.lines(name))
        if condensed:
            return _librispeech(*condensed[-1])
        words = [_ctm(where, line) for where, line in self._ctm.lines(name)]
        return sorted(words, key=lambda word: word.start)

    def _alone(self, name: str) -> list[Word]:
        for place in self._by_stem[name]:
            if _stem(self._single[place]) == name:
                path = Path(os.fsdecode(self._single.path(place)))
                return read_textgrid(path) if path.suffix.lower() != ".json" else _json(path)
        return []


def _is_single(name: bytes) -> bool:
    base, suffix = os.path.splitext(os.path.basename(name))
    return suffix.lower() == b".textgrid" or (suffix.lower() == b".json" and b"." not in base)


def _stem(name: bytes) -> str:
    return printable(os.fsdecode(os.path.splitext(os.path.basename(name))[0]))


def _librispeech(where: str, line: str) -> list[Word]:
    """`ID "WORD,,WORD" "1.2,1.5,2.0"`: an empty word is silence, times are the ends."""
    found = re.fullmatch(r'\S+\s+"([^"]*)"\s+"([^"]*)"', line)
    if found is None:
        raise CorpusError(f'{where} is no line of the form: ID "words" "ends"')
    texts = found[1].split(",")
    ends = _numbers(found[2].split(","), where)
    if len(texts) != len(ends):
        raise CorpusError(f"{where} has {len(texts)} words and {len(ends)} times")
    return [Word(*word) for word in zip(texts, [0.0, *ends[:-1]], ends, strict=True)]


def _ctm(where: str, line: str) -> Word:
    """`ID CHANNEL START SECONDS WORD ...`, as NeMo and Kaldi write it."""
    fields = line.split()
    if len(fields) < 5:
        raise CorpusError(f"{where} has {len(fields)} fields, wanted ID CHANNEL START SECONDS WORD")
    start, seconds = _numbers(fields[2:4], where)
    return Word(fields[4], start, start + seconds)


def _json(path: Path) -> list[Word]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        rows = content.get("aligned_text") if isinstance(content, dict) else None
        if rows is None:
            return []  # some other file of that name
        return [Word(str(text), float(start), float(end)) for text, start, end in rows]
    except (OSError, ValueError, TypeError) as error:
        raise CorpusError(f"{path} is no alignment: {error}") from error


def _numbers(fields: list[str], where: str) -> list[float]:
    try:
        return [float(field) for field in fields]
    except ValueError as error:
        raise CorpusError(f"{where}: {error}") from error
