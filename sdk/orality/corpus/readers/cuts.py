"""lhotse's cuts, `cuts.jsonl` or `cuts.jsonl.gz`, read without lhotse."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from orality.corpus.readers.lines import Lines
from orality.corpus.recording import FileSlice, Recording, Unreadable
from orality.corpus.sources import Entry, Row, split_named
from orality.errors import CorpusError
from orality.types import Word
from orality.untrusted import documents

_EDGE = 0.02  # seconds by which a supervision may stand out of its cut


class Cuts:
    """Cuts of one recording each; what is mixed, padded or altered is listed as unreadable.

    Read are MonoCut, and MultiCut of all channels, from files as they are. Times of words count
    from the start of the recording in lhotse, here from the start of the cut; words outside of it
    are left out, and so is the text of a supervision that is not inside as a whole.
    """

    def __init__(self, lines: Lines) -> None:
        self.alignments: Path | None = None
        self._path, self._lines = lines.path, lines

    def entries(self) -> Iterator[Entry]:
        """Every cut, checked."""
        for place, where, line in self._lines:
            cut = _parsed(line, where)
            self._row(cut, where)
            split = split_named(str((cut.get("custom") or {}).get("split", "")))
            yield Entry(str(cut["id"]), place, split, where, b"")

    def row(self, place: int) -> Row:
        """The cut that begins at a byte."""
        where = f"{self._path}, byte {place}"
        return self._row(_parsed(self._lines.at(place), where), where)

    def _row(self, cut: dict[str, Any], where: str) -> Row:
        try:
            reason = _refusal(cut)
            if reason is not None:
                name = f"{self._path}#cut={cut['id']}"
                return Row(Unreadable(name, f"the cut {cut['id']!r} {reason}"))
            recording = self._recording(cut)
            spoken = [_spoken(item, cut) for item in cut.get("supervisions") or ()]
            language = next((item["language"] for item in cut.get("supervisions") or ()
                             if item.get("language")), None)  # fmt: skip
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise CorpusError(
                f"{where} is no cut that can be read: {type(error).__name__}: {error}"
            ) from error
        texts = [text for text, _ in spoken if text]
        words = sorted((word for _, words in spoken for word in words), key=lambda w: w.start)
        return Row(recording, " ".join(texts) or None, tuple(words), language)

    def _recording(self, cut: dict[str, Any]) -> Recording:
        source, channel = _source(cut)
        path = Path(source["source"])
        beside = self._path.parent / path
        # lhotse takes paths from the working folder; a list that was moved has its files beside it.
        found = path if path.is_absolute() or path.exists() or not beside.exists() else beside
        start, seconds = float(cut["start"]), float(cut["duration"])
        return FileSlice(os.fsencode(found), start, seconds, channel)


def _refusal(cut: dict[str, Any]) -> str | None:
    """Why the cut's sound is not in a file as it is."""
    kind = cut["type"]
    if kind not in {"MonoCut", "MultiCut"}:
        return f"is a {kind}; wanted MonoCut: mix and pad when training, or save the audio first"
    recording = cut.get("recording")
    if recording is None:
        return "has no recording, only features; wanted audio"
    if recording.get("transforms"):
        names = ", ".join(sorted({item["name"] for item in recording["transforms"]}))
        return f"is altered when it is read ({names}); save the audio first"
    source, _ = _source(cut)
    if source["type"] != "file":
        return f"is read from a source of the type {source['type']!r}; wanted 'file'"
    if kind == "MultiCut" and sorted(cut["channel"]) != sorted(source["channels"]):
        return "has some of its recording's channels; wanted one, or all in one file"
    return None


def _source(cut: dict[str, Any]) -> tuple[dict[str, Any], int | None]:
    """The source that has the cut's channel, and which of its channels that is (None: all)."""
    wanted = cut["channel"]
    first = wanted[0] if isinstance(wanted, list) else wanted
    for source in cut["recording"]["sources"]:
        channels = source["channels"]
        if first in channels:
            alone = isinstance(wanted, list) or len(channels) == 1
            return source, None if alone else channels.index(first)
    raise ValueError(f"no source has the channel {wanted}")


def _spoken(supervision: dict[str, Any], cut: dict[str, Any]) -> tuple[str, list[Word]]:
    """Text and words that are inside the cut."""
    start, seconds = float(cut["start"]), float(cut["duration"])
    words = []
    for item in (supervision.get("alignment") or {}).get("word") or ():
        symbol, begins, lasts = list(item.values())[:3] if isinstance(item, dict) else item[:3]
        word = Word(str(symbol), float(begins) - start, float(begins) - start + float(lasts))
        if word.text.strip() and word.start >= -_EDGE and word.end <= seconds + _EDGE:
            words.append(word)
    begins, lasts = float(supervision["start"]), float(supervision["duration"])
    if begins < -_EDGE or begins + lasts > seconds + _EDGE:
        return " ".join(word.text for word in words), words
    return str(supervision.get("text") or ""), words


def is_cut(line: bytes) -> bool:
    """Whether a line is one of lhotse's cuts."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(row, dict) and str(row.get("type", "")).endswith("Cut") and "audio" not in row


def _parsed(line: bytes, where: str) -> dict[str, Any]:
    row = documents.load_json(line, where, CorpusError)
    if not isinstance(row, dict) or "id" not in row or "type" not in row:
        raise CorpusError(f"{where} is no cut: it must have an id and a type")
    return row
