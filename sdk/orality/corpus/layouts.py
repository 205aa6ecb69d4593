"""Corpora as they are distributed: LibriSpeech, Multilingual LibriSpeech, a folder of audio."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from orality.errors import CorpusError

AUDIO_SUFFIXES = frozenset(
    {".aif", ".aiff", ".au", ".caf", ".flac", ".mp3", ".oga", ".ogg", ".opus", ".w64", ".wav"}
)
_MLS_LANGUAGES = {
    "dutch": "nl", "english": "en", "french": "fr", "german": "de", "italian": "it",
    "polish": "pl", "portuguese": "pt", "spanish": "es",
}  # fmt: skip

Row = dict[str, Any]


def scan(folder: Path) -> list[Row]:
    """A row for each recording below `folder`, with the transcript, split and language it tells.

    LibriSpeech is known by its `*.trans.txt`, Multilingual LibriSpeech by `SPLIT/transcripts.txt`.
    Elsewhere a text file of the recording's name is its transcript.
    """
    rows: list[Row] = []
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in AUDIO_SUFFIXES and path.is_file():
            relative = path.relative_to(folder)
            name = str(relative.with_suffix("")).replace("/", "-")
            rows.append({"id": name, "audio": str(relative), "_where": str(path)})
    librispeech = sorted(folder.rglob("*.trans.txt"))
    mls = sorted(
        path for split in ("train", "dev", "test") for path in _mls_transcripts(folder, split)
    )
    if librispeech:
        return _distributed(rows, _texts(librispeech, " "), _librispeech_split)
    if mls:
        for row in rows:
            row["language"] = _mls_language(folder / row["audio"])
        return _distributed(rows, _texts(mls, "\t"), _mls_split)
    counts = Counter(row["id"] for row in rows)
    for row in rows:
        transcript = (folder / row["audio"]).with_suffix(".txt")
        if transcript.is_file():
            text = transcript.read_text(encoding="utf-8", errors="replace").strip()
            row["text"] = text or None
        if counts[row["id"]] > 1:  # one.wav beside one.flac
            row["id"] = str(row["audio"]).replace("/", "-")
    return rows


def _distributed(rows: list[Row], texts: dict[str, str], split_of: Any) -> list[Row]:
    """Rows named as the distribution names its utterances; what has no transcript is left as is."""
    for row in rows:
        path = Path(row["audio"])
        row |= {"id": path.stem, "text": texts.get(path.stem), "split": split_of(path.parts)}
    return rows


def _texts(files: list[Path], separator: str) -> dict[str, str]:
    texts = {}
    for file in files:
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise CorpusError(f"transcripts {file} cannot be read: {error}") from error
        for line in lines:
            name, _, text = line.partition(separator)
            if name.strip():
                texts[name.strip()] = text.strip()
    return texts


def _librispeech_split(parts: tuple[str, ...]) -> str | None:
    for part in parts:
        for split in ("train", "dev", "test"):
            if part.startswith(f"{split}-"):
                return split
    return None


def _mls_transcripts(folder: Path, split: str) -> list[Path]:
    return [path for path in folder.rglob("transcripts.txt") if path.parent.name == split]


def _mls_split(parts: tuple[str, ...]) -> str | None:
    return next((part for part in parts if part in ("train", "dev", "test")), None)


def _mls_language(audio: Path) -> str | None:
    """From the distribution's folder, `mls_german` or `mls_german_opus`."""
    for part in audio.parts:
        if part.startswith("mls_"):
            return _MLS_LANGUAGES.get(part.split("_")[1])
    return None
