"""The text files that lie beside recordings, or where VCTK and LibriTTS have them."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path

from orality.errors import CorpusError
from orality.untrusted import documents

logger = logging.getLogger(__name__)
MOST_BYTES = 1 << 20  # a day of speech takes less
_MICROPHONE = re.compile(r"_mic\d$")


def beside(recording: Path, corpus: Path) -> str | None:
    """What the transcript of a recording says, None where there is none.

    `NAME.txt`, LibriTTS's `NAME.normalized.txt`, VCTK's `txt/SPEAKER/NAME.txt`. A link to a file
    outside of the corpus and of the recording's own folder is passed over. Raises CorpusError for
    a file that is not text, or has more than `MOST_BYTES` bytes.
    """
    for path in _places(recording):
        if not path.is_file():
            continue
        real = path.resolve()
        inside = (corpus.resolve(), recording.resolve().parent)
        if not any(real.is_relative_to(folder) for folder in inside):
            logger.warning("%s is a link that leads out of the corpus; it is not read", path)
            continue
        return documents.read_text(path, CorpusError, most_bytes=MOST_BYTES).strip() or None
    return None


def _places(recording: Path) -> Iterator[Path]:
    yield recording.with_suffix(".txt")
    yield recording.with_suffix(".normalized.txt")
    speaker = recording.parent
    if speaker.parent.name.startswith("wav"):
        name = _MICROPHONE.sub("", recording.stem)
        yield speaker.parent.parent / "txt" / speaker.name / f"{name}.txt"
