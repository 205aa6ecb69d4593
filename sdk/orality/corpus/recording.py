"""Where an utterance's sound lies: a file, a slice of one, a cell of a table, or nowhere."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Protocol

from orality.audio import AudioLimits, printable, read_audio
from orality.corpus.readers import tables
from orality.errors import AudioError, AudioLimitError
from orality.types import Waveform


class Recording(Protocol):
    """Something that can be read as speech; small, and picklable for another process."""

    @property
    def name(self) -> str:
        """What people and run folders call it: printable, and as the corpus knows it."""
        ...

    @property
    def stem(self) -> str:
        """The file's name without folders and suffix; empty where there is none."""
        ...

    def load(self, limits: AudioLimits, sample_rate: int | None) -> Waveform:
        """Read it; raises AudioError."""
        ...


@dataclass(frozen=True, slots=True)
class FileSlice:
    """A file, or `seconds` of it from `start` on; one channel or the mean of all."""

    path: bytes
    start: float = 0.0
    seconds: float | None = None
    channel: int | None = None

    @property
    def name(self) -> str:
        """The path; for a part with the seconds at which it begins and ends, and the channel."""
        parts = []
        if self.seconds is not None:
            parts.append(f"t={self.start:g},{self.start + self.seconds:g}")
        if self.channel is not None:
            parts.append(f"channel={self.channel}")
        path = printable(os.fsdecode(self.path))
        return f"{path}#{'&'.join(parts)}" if parts else path

    @property
    def stem(self) -> str:
        """The file's."""
        return printable(PurePath(os.fsdecode(self.path)).stem)

    def load(self, limits: AudioLimits, sample_rate: int | None) -> Waveform:
        """Decode the slice alone."""
        return read_audio(
            Path(os.fsdecode(self.path)),
            sample_rate=sample_rate,
            max_seconds=limits.seconds,
            max_bytes=limits.size,
            start=self.start,
            seconds=self.seconds,
            channel=self.channel,
            name=self.name,
        )


@dataclass(frozen=True, slots=True)
class TableCell:
    """The audio of one row of an Arrow or Parquet file: a struct of `bytes` and `path`, bytes
    alone, or a path, which is relative to the file's folder."""

    table: str
    row: int
    column: str
    inner: str = ""
    """The path that goes with the bytes, if any; only its name matters then."""

    @property
    def name(self) -> str:
        """The table's path with row number (from 0) and inner name."""
        row = f"{printable(self.table)}#row={self.row}"
        return f"{row}&path={self.inner}" if self.inner else row

    @property
    def stem(self) -> str:
        """Of the inner path."""
        return PurePath(self.inner).stem

    def load(self, limits: AudioLimits, sample_rate: int | None) -> Waveform:
        """Decode the cell's bytes, or the file that its path names."""
        content, path = tables.audio(self.table, self.column, self.row)
        if content is None:
            if not path:
                raise AudioError(f"{self.name} holds neither bytes nor a path")
            file = Path(self.table).parent / path
            if not file.resolve().is_relative_to(Path(self.table).parent.resolve()):
                raise AudioError(
                    f"{self.name} names a file outside of the folder of its table; put the "
                    "recordings below it, or write a manifest"
                )
            return FileSlice(os.fsencode(file)).load(limits, sample_rate)
        if len(content) > limits.size:
            raise AudioLimitError(
                f"{self.name} has {len(content)} bytes, more than the {limits.size} accepted"
            )
        return read_audio(
            io.BytesIO(content),
            sample_rate=sample_rate,
            max_seconds=limits.seconds,
            name=self.name,
        )


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An utterance that is listed and cannot be read, so that it is counted with its reason."""

    name: str
    reason: str
    stem: str = ""

    def load(self, limits: AudioLimits, sample_rate: int | None) -> Waveform:
        """Raises AudioError with the reason."""
        raise AudioError(self.reason)
