"""Mozilla Common Voice as it is distributed: `train.tsv`, `dev.tsv`, `test.tsv`, and `clips`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from orality.corpus.readers.manifest import Manifest
from orality.corpus.sources import SPLITS, Entry, Row

_COLUMNS = {"audio": "path", "text": "sentence", "language": "locale"}
_PLACE_BITS = 40  # of a place that is a list's number and a byte in it


class CommonVoice:
    """The clips of the three lists, each with the split of its list; other lists are not read."""

    def __init__(self, folder: Path) -> None:
        self.alignments: Path | None = folder
        self._lists = [
            (split, Manifest(folder / f"{split}.tsv", _COLUMNS, audio=folder / "clips"))
            for split in SPLITS
            if (folder / f"{split}.tsv").is_file()
        ]

    def entries(self) -> Iterator[Entry]:
        """Ids are the names of the clips."""
        for number, (split, manifest) in enumerate(self._lists):
            for entry in manifest.entries():
                yield entry._replace(place=number << _PLACE_BITS | entry.place, split=split)

    def row(self, place: int) -> Row:
        """The clip and its sentence."""
        _, manifest = self._lists[place >> _PLACE_BITS]
        return manifest.row(place & (1 << _PLACE_BITS) - 1)


def is_common_voice(folder: Path) -> bool:
    """Whether a folder holds clips and at least one of the lists."""
    return (folder / "clips").is_dir() and any((folder / f"{s}.tsv").is_file() for s in SPLITS)
