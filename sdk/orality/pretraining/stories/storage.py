"""Speech on disk: a folder with all samples in one raw file and a JSON line per sentence.

`speech.i16` holds 16 kHz mono little-endian int16; a row of `index.jsonl` is {id, text, voice,
offset, length, phones, words}, offset and length in samples, spans as [name, start, end] in
seconds.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orality.errors import CorpusError
from orality.pretraining.stories.joining import Part
from orality.pretraining.stories.speech import Spoken, speaker

SAMPLES, INDEX = "speech.i16", "index.jsonl"
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class SpokenCorpus:
    """A folder of speech: rows of the index and the samples, memory-mapped."""

    path: Path
    rows: list[Row]
    samples: NDArray[np.int16]

    def audio(self, row: Row) -> NDArray[np.float32]:
        """The samples of a row, in [-1, 1]."""
        part = self.samples[row["offset"] : row["offset"] + row["length"]]
        return part.astype(np.float32) / np.float32(32768)

    def part(self, row: Row) -> Part:
        """A row as a stretch of speech, ready for `trim` and `join`."""
        spans = (tuple((n, s, e) for n, s, e in row[key]) for key in ("phones", "words"))
        return Part(row["text"], self.audio(row), *spans)


def sentence_id(text: str, voice: str) -> str:
    """The id under which a sentence in a voice is stored; equal for equal text and voice."""
    return f"{voice}-{blake2b(text.encode(), digest_size=6).hexdigest()}"


def read_corpus(path: Path) -> SpokenCorpus:
    """The speech in a folder; a last line that was cut short is left out."""
    if not (path / INDEX).is_file():
        raise CorpusError(f"no {INDEX} in {path}: wanted a folder that write_corpus wrote")
    samples: NDArray[np.int16]
    if (path / SAMPLES).stat().st_size < 2:
        samples = np.zeros(0, np.int16)
    else:
        samples = np.memmap(path / SAMPLES, "<i2", "r")
    rows = [r for r in _rows(path) if r["offset"] + r["length"] <= len(samples)]
    return SpokenCorpus(path, rows, samples)


def write_corpus(
    path: Path,
    texts: Sequence[str],
    voice: str,
    *,
    processes: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> SpokenCorpus:
    """Speak the texts into a folder; what is there already is kept, so that a cut run continues."""
    path.mkdir(parents=True, exist_ok=True)
    (path / INDEX).touch()
    (path / SAMPLES).touch()
    done = read_corpus(path)
    offset = max((r["offset"] + r["length"] for r in done.rows), default=0)
    os.truncate(path / SAMPLES, offset * 2)
    _rewrite(path, done.rows)
    known = {r["id"] for r in done.rows}
    # dict: a text given twice is spoken once
    todo = [t for t in dict.fromkeys(texts) if sentence_id(t, voice) not in known]
    with (
        (path / SAMPLES).open("ab") as samples,
        (path / INDEX).open("a", encoding="utf-8") as index,
    ):
        for count, (text, spoken) in enumerate(_speak_all(todo, voice, processes), 1):
            pcm = np.round(spoken.samples * 32767).astype("<i2")
            samples.write(pcm.tobytes())
            samples.flush()
            row = {
                "id": sentence_id(text, voice), "text": spoken.text, "voice": voice,
                "offset": offset, "length": len(pcm),
                "phones": spoken.phones, "words": spoken.words,
            }  # fmt: skip
            index.write(json.dumps(row, ensure_ascii=False) + "\n")
            offset += len(pcm)
            if progress:
                progress(count, len(todo))
    return read_corpus(path)


def _speak_all(texts: Sequence[str], voice: str, processes: int) -> Iterator[tuple[str, Spoken]]:
    if processes <= 1 or len(texts) < 2 * processes:
        yield from zip(texts, map(speaker(voice), texts), strict=True)
        return
    # spawn: onnxruntime threads do not survive a fork
    with get_context("spawn").Pool(processes) as pool:
        yield from zip(texts, pool.imap(partial(_speak, voice), texts, chunksize=16), strict=True)


def _speak(voice: str, text: str) -> Spoken:
    # The neural voice is kept between calls, so each process loads it once.
    return speaker(voice)(text)


def _rows(path: Path) -> Iterable[Row]:
    with (path / INDEX).open(encoding="utf-8") as file:
        for line in file:
            if line.endswith("\n"):
                yield json.loads(line)


def _rewrite(path: Path, rows: Sequence[Row]) -> None:
    temporary = path / f".{INDEX}.tmp"
    temporary.write_text(
        "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), encoding="utf-8"
    )
    os.replace(temporary, path / INDEX)
