"""Flite's voices, with phone times from the program and word times from its phones word by word."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from zlib import crc32

import soundfile

from orality.errors import CorpusError
from orality.pretraining.stories.phones import PAUSE, Span, from_flite
from orality.pretraining.stories.speech import RATE, Speaker, Spoken, plain_words

# Slower and faster speech in turn, for a tokenizer that must not depend on the rate.
_STRETCHES = (0.9, 1.0, 1.1)


def flite(voice: str) -> Speaker:
    """A function that speaks with one of flite's voices, at a rate drawn from the text."""

    def speak(text: str) -> Spoken:
        stretch = _STRETCHES[crc32(text.encode()) % len(_STRETCHES)]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "speech.wav"
            phones = _run(voice, text, path, stretch)
            samples, rate = soundfile.read(path, dtype="float32")
        if rate != RATE:
            raise CorpusError(f"got {rate} Hz from flite's voice {voice!r}, wanted {RATE}")
        names = plain_words(text)
        words = align_words(phones, [(n, _word_phones(voice, n.lower())) for n in names])
        return Spoken(text, voice, samples, tuple(phones), tuple(words))

    return speak


def align_words(phones: Sequence[Span], words: Sequence[tuple[str, Sequence[str]]]) -> list[Span]:
    """Word spans in a phone sequence, by the cheapest alignment with the words' own phones."""
    spoken = [p for p in phones if p[0] != PAUSE]
    wanted = [(name, index) for index, (_, own) in enumerate(words) for name in own]
    rows, columns = len(wanted) + 1, len(spoken) + 1
    cost = [[max(i, j) if not i or not j else 0 for j in range(columns)] for i in range(rows)]
    for i in range(1, rows):
        for j in range(1, columns):
            swap = cost[i - 1][j - 1] + (wanted[i - 1][0] != spoken[j - 1][0])
            cost[i][j] = min(swap, cost[i - 1][j] + 1, cost[i][j - 1] + 1)
    owner: dict[int, int] = {}
    i, j = rows - 1, columns - 1
    while i and j:
        if cost[i][j] == cost[i - 1][j - 1] + (wanted[i - 1][0] != spoken[j - 1][0]):
            owner[j - 1] = wanted[i - 1][1]
            i, j = i - 1, j - 1
        elif cost[i][j] == cost[i - 1][j] + 1:
            i -= 1
        else:
            owner[j - 1] = wanted[i - 1][1]
            j -= 1
    spans: list[Span] = []
    for index, (name, _) in enumerate(words):
        own_phones = [spoken[k] for k, w in owner.items() if w == index]
        # A word that lost all its phones to its neighbors has no length but keeps its place.
        previous = spans[-1][2] if spans else 0.0
        start = min((p[1] for p in own_phones), default=previous)
        end = max((p[2] for p in own_phones), default=previous)
        spans.append((name, round(start, 4), round(end, 4)))
    return spans


@cache
def _word_phones(voice: str, word: str) -> tuple[str, ...]:
    return tuple(name for name, _, _ in _run(voice, word, None, 1.0) if name != PAUSE)


def _run(voice: str, text: str, path: Path | None, stretch: float) -> list[Span]:
    """Speak into `path` (nowhere if None) and return the phone spans."""
    command = ["flite", "-voice", voice, "-psdur", "--setf", f"duration_stretch={stretch}",
               "-t", text, "-o", str(path or "none")]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CorpusError(f"flite failed on {text!r} with voice {voice!r}: {done.stderr.strip()}")
    spans: list[Span] = []
    for item in done.stdout.split():
        name, _, end = item.rpartition(":")
        spans.append((from_flite(name), spans[-1][2] if spans else 0.0, float(end)))
    return spans
