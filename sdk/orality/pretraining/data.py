"""Speech to train on: recordings a user has, or the compact corpora of synthetic speech.

An utterance is read when it is needed, always as 16 kHz mono float32 in [-1, 1].
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from zlib import crc32

import numpy as np
import soundfile
from numpy.typing import NDArray

from orality.audio import read_audio
from orality.corpus.sources import AUDIO_SUFFIXES
from orality.errors import AudioError, CorpusError
from orality.pretraining.loop import rng_of

logger = logging.getLogger(__name__)

SAMPLE_RATE = 16_000
Samples = NDArray[np.float32]
Span = tuple[str, float, float]  # (name, start, end) in seconds
ItemT = TypeVar("ItemT")


@dataclass(frozen=True, slots=True)
class Utterance:
    """A recording that has not been read yet.

    `length`: in samples at 16 kHz, to plan batches by (a resampled file may differ by one).
    `phones`: spans in seconds from its start, empty when unknown.
    """

    id: str
    length: int
    read: Callable[[], Samples]
    text: str | None = None
    voice: str | None = None
    phones: tuple[Span, ...] = ()


def open_speech(*paths: str | Path) -> list[Utterance]:
    """All utterances of the folders: compact corpora, or audio files in any format soundfile reads.

    A compact corpus holds `speech.i16` and `index.jsonl`. A folder of audio files may hold a
    `manifest.jsonl` with rows {audio, id?, text?, voice?} (paths relative to it); without one
    every audio file below it counts, its parent folder's name being the voice. A file that is
    no audio is named in the log and left out. Raises CorpusError when nothing is left.
    """
    found: list[Utterance] = []
    for path in map(Path, paths):
        if not path.is_dir():
            raise CorpusError(f"{path} is no folder; give a folder of audio files or a corpus")
        if (path / "speech.i16").is_file() and (path / "index.jsonl").is_file():
            found.extend(_compact(path))
        else:
            found.extend(_files(path))
    if not found:
        raise CorpusError(f"no usable recording in {', '.join(map(str, paths))}")
    return found


def held_out(
    speech: Sequence[Utterance], share: float = 0.02
) -> tuple[list[Utterance], list[Utterance]]:
    """(training, held-out) utterances, split by text so that no text is on both sides.

    The split depends on the texts alone (on the id where there is no text), not on the order.
    """
    training: list[Utterance] = []
    kept: list[Utterance] = []
    for utterance in speech:
        key = (utterance.text or utterance.id).lower()
        (kept if crc32(key.encode()) % 10_000 < share * 10_000 else training).append(utterance)
    if not training or not kept:
        raise CorpusError(
            f"{len(speech)} recordings are too few to hold out {share:.0%} of the texts; "
            "give more speech, or held-out speech of its own"
        )
    return training, kept


def length_batches(
    lengths: Sequence[int], budget: int, *, seed: int, longest: int | None = None
) -> Callable[[int], list[int]]:
    """Step number -> indices of utterances of similar length, about `budget` samples together.

    Every utterance comes once per epoch; neighbors and order change from epoch to epoch and derive
    from (seed, epoch). `longest`: what an utterance counts at most (it will be cropped).
    """
    costs = np.minimum(np.asarray(lengths, np.int64), longest or np.iinfo(np.int64).max)
    epochs: dict[int, list[list[int]]] = {}

    def plan(epoch: int) -> list[list[int]]:
        rng = rng_of(seed, 7919, epoch)
        order = np.argsort(costs * rng.uniform(0.97, 1.03, len(costs)), kind="stable")
        groups: list[list[int]] = [[]]
        cost = 0
        for index in order.tolist():
            if groups[-1] and cost + costs[index] > budget:
                groups.append([])
                cost = 0
            groups[-1].append(index)
            cost += int(costs[index])
        return [groups[i] for i in rng.permutation(len(groups))]

    def batch(step: int) -> list[int]:
        epoch, position = 0, step
        while True:
            if epoch not in epochs:
                epochs[epoch] = plan(epoch)
                epochs.pop(epoch - 2, None)
                sizes[epoch] = len(epochs[epoch])
            if position < sizes[epoch]:
                return epochs[epoch][position]
            position -= sizes[epoch]
            epoch += 1
            while epoch in sizes and epoch not in epochs and position >= sizes[epoch]:
                position -= sizes[epoch]
                epoch += 1

    sizes: dict[int, int] = {}
    return batch


def _compact(path: Path) -> Iterator[Utterance]:
    if (path / "speech.i16").stat().st_size < 2:
        return
    samples: NDArray[np.int16] = np.memmap(path / "speech.i16", "<i2", "r")
    for row in _rows(path / "index.jsonl", last_may_be_cut=True):
        start, length = int(row["offset"]), int(row["length"])
        if start + length > len(samples):
            continue
        yield Utterance(
            id=str(row["id"]),
            length=length,
            read=partial(_slice, samples, start, length),
            text=row.get("text"),
            voice=row.get("voice"),
            phones=tuple((name, start, end) for name, start, end in row.get("phones") or ()),
        )


def _slice(samples: NDArray[np.int16], start: int, length: int) -> Samples:
    return samples[start : start + length].astype(np.float32) / np.float32(32768)


def _files(path: Path) -> Iterator[Utterance]:
    manifest = path / "manifest.jsonl"
    if manifest.is_file():
        rows: Iterable[dict[str, Any]] = _rows(manifest)
    else:
        files = sorted(p for p in path.rglob("*") if p.suffix.lower() in AUDIO_SUFFIXES)
        rows = ({"audio": str(p.relative_to(path)), "voice": p.parent.name} for p in files)
    for number, row in enumerate(rows, 1):
        if not isinstance(row.get("audio"), str):
            raise CorpusError(f"{manifest} row {number} has no 'audio' path")
        file = path / row["audio"]
        try:
            info = soundfile.info(str(file))
        except (soundfile.SoundFileError, OSError, RuntimeError) as error:
            logger.warning("%s is left out: %s", file, error)
            continue
        yield Utterance(
            id=str(row.get("id") or row["audio"]),
            length=int(info.frames * SAMPLE_RATE / info.samplerate),
            read=partial(_decode, file),
            text=row.get("text"),
            voice=row.get("voice"),
        )


def _decode(file: Path) -> Samples:
    try:
        return read_audio(file, sample_rate=SAMPLE_RATE).samples
    except AudioError as error:
        raise CorpusError(f"{error}; remove it from the corpus") from error


def _rows(path: Path, *, last_may_be_cut: bool = False) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if last_may_be_cut and not line.endswith("\n"):
                return
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise CorpusError(f"{path} line {number} is no JSON: {error}") from error
            if not isinstance(row, dict):
                raise CorpusError(f"{path} line {number} is no JSON object")
            yield row
