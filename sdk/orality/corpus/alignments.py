"""What was said when: word times from the files that forced aligners leave behind."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath

from orality.audio import printable
from orality.corpus.names.names import LineIndex, NameIndex
from orality.corpus.names.nearest import nearest
from orality.corpus.readers.files import Names, files_below
from orality.corpus.textgrid import read_textgrid
from orality.errors import CorpusError
from orality.types import Word
from orality.untrusted import documents


class Alignments:
    """The words of utterances, found by their names; only names are held.

    Below `folder`: `NAME.TextGrid`; `NAME.json` with `aligned_text`, a list of [word, start, end];
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

    def find(self, name: str, recording: str = "", rivals: Sequence[str] = ()) -> list[Word]:
        """What the files say of a name, silence and noise included; [] where nothing is known.

        `recording`: the path of what is called so, `rivals` those of other recordings of the same
        name: of several files, the one that is nearest to this recording alone is taken, or none.
        Raises CorpusError when the file is malformed.
        """
        for index, read in ((self._condensed, _condensed), (self._ctm, _ctm)):
            files: dict[str, list[tuple[str, str]]] = {}
            for path, where, line in index.located(name):
                files.setdefault(str(path), []).append((where, line))
            chosen = nearest(list(files), recording, rivals)
            if chosen is not None:
                return read(files[chosen])
        chosen = nearest(self._alone(name), recording, rivals)
        if chosen is None:
            return []
        path = Path(chosen)
        return _json(path) if path.suffix.lower() == ".json" else read_textgrid(path)

    def _alone(self, name: str) -> list[str]:
        return [
            os.fsdecode(self._single.path(place))
            for place in self._by_stem[name]
            if _stem(self._single[place]) == name
        ]


def _is_single(name: bytes) -> bool:
    base, suffix = os.path.splitext(os.path.basename(name))
    return suffix.lower() == b".textgrid" or (suffix.lower() == b".json" and b"." not in base)


def _stem(name: bytes) -> str:
    return printable(PurePath(os.fsdecode(name)).stem)


def _condensed(rows: Sequence[tuple[str, str]]) -> list[Word]:
    """`ID "WORD,,WORD" "1.2,1.5,2.0"`: an empty word is silence, times are the ends."""
    where, line = rows[-1]
    found = re.fullmatch(r'\S+\s+"([^"]*)"\s+"([^"]*)"', line)
    if found is None:
        raise CorpusError(f'{where} is no line of the form: ID "words" "ends"')
    texts = found[1].split(",")
    ends = _numbers(found[2].split(","), where)
    if len(texts) != len(ends):
        raise CorpusError(f"{where} has {len(texts)} words and {len(ends)} times")
    return [Word(*word) for word in zip(texts, [0.0, *ends[:-1]], ends, strict=True)]


def _ctm(rows: Sequence[tuple[str, str]]) -> list[Word]:
    """`ID CHANNEL START SECONDS WORD ...`, as NeMo and Kaldi write it."""
    words = []
    for where, line in rows:
        fields = line.split()
        if len(fields) < 5:
            raise CorpusError(
                f"{where} has {len(fields)} fields, wanted ID CHANNEL START SECONDS WORD"
            )
        start, seconds = _numbers(fields[2:4], where)
        words.append(Word(fields[4], start, start + seconds))
    return words


def _json(path: Path) -> list[Word]:
    content = documents.read_json(path, CorpusError)
    rows = content.get("aligned_text") if isinstance(content, dict) else None
    if rows is None:
        return []  # some other file of that name
    try:
        return [Word(str(text), float(start), float(end)) for text, start, end in rows]
    except (ValueError, TypeError, OverflowError) as error:
        raise CorpusError(f"{path} is no alignment: {error}") from error


def _numbers(fields: list[str], where: str) -> list[float]:
    try:
        return [float(field) for field in fields]
    except ValueError as error:
        raise CorpusError(f"{where}: {error}") from error
