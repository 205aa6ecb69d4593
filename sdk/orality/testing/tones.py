"""Toy speech: one sine per unit, and everything that can be done with it without a model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from orality.audio import resample, write_audio
from orality.testing.toy import LETTERS, UNIT_SPEC
from orality.types import JudgeRequest, Transcript, Units, UnitSpec, Verdict, Waveform

SAMPLE_RATE = 16_000
FRAME = 640  # samples
FRAMES_PER_UNIT = 3
LOWEST, STEP = 300.0, 150.0  # Hz


class ToneTokenizer:
    """Hears the strongest tone of each frame; a silent frame belongs to no unit."""

    sample_rate = SAMPLE_RATE
    unit_spec: UnitSpec = UNIT_SPEC

    def encode(self, batch: Sequence[Waveform]) -> list[Units]:
        """Units with durations in frames."""
        return [_hear(resample(waveform, SAMPLE_RATE)) for waveform in batch]


class ToneVocoder:
    """Whistles each unit, three frames long unless durations are given."""

    sample_rate = SAMPLE_RATE
    unit_spec: UnitSpec = UNIT_SPEC

    def synthesize(self, batch: Sequence[Units]) -> list[Waveform]:
        """One waveform per item; no units give no samples."""
        return [whistle(units) for units in batch]


class ToneTranscriber:
    """Spells what the tokenizer hears."""

    sample_rate = SAMPLE_RATE

    def transcribe(
        self, batch: Sequence[Waveform], *, language: str | None = None
    ) -> list[Transcript]:
        """Letters and spaces; silence gives an empty text."""
        heard = ToneTokenizer().encode(batch)
        return [Transcript(text=spell(units)) for units in heard]


class VowelJudge:
    """1 for no vowels, 5 when half of the letters are vowels or more."""

    def score(self, requests: Sequence[JudgeRequest]) -> list[Verdict]:
        """Scores inside 1 to 5, with a made-up perplexity beside them."""
        return [self._score(request.continuation_text or "") for request in requests]

    def _score(self, text: str) -> Verdict:
        letters = text.replace(" ", "")
        if not letters:
            return Verdict(score=1.0, rationale="no speech", perplexity=400.0)
        share = sum(letter in "aeio" for letter in letters) / len(letters)
        score = 1.0 + 4.0 * min(1.0, 2 * share)
        return Verdict(score=score, perplexity=20.0 ** (1 - share))


def spell(units: Units) -> str:
    """The letters of units, spaces tidied."""
    return " ".join("".join(LETTERS[unit] for unit in units.ids.tolist()).split())


def whistle(units: Units) -> Waveform:
    """Units to sine waves without clicks between frames."""
    durations = units.durations
    if durations is None:
        durations = np.full(len(units), FRAMES_PER_UNIT)
    frequencies = np.repeat(LOWEST + STEP * units.ids, durations * FRAME)
    phases = 2 * np.pi * np.cumsum(frequencies) / SAMPLE_RATE
    return Waveform((0.5 * np.sin(phases)).astype(np.float32), SAMPLE_RATE)


def write_toy_corpus(folder: Path, *, utterances: int = 40, seed: int = 0) -> None:
    """Write a corpus of random melodies with word times, as Opus files and a manifest."""
    random = np.random.default_rng(seed)
    rows = []
    for number in range(utterances):
        words: list[tuple[str, float, float]] = []
        ids: list[int] = []
        while len(ids) * FRAMES_PER_UNIT * FRAME < 6.0 * SAMPLE_RATE:
            word = [int(random.integers(1, len(LETTERS)))]
            while len(word) < random.integers(3, 7):
                letter = int(random.integers(1, len(LETTERS)))
                word += [letter] if letter != word[-1] else []
            seconds = FRAMES_PER_UNIT * FRAME / SAMPLE_RATE
            start = len(ids) * seconds
            words.append(("".join(LETTERS[i] for i in word), start, start + len(word) * seconds))
            ids += [*word, 0]
        split = ("train", "train", "train", "dev", "test")[number % 5]
        name = f"toy-{number:03d}"
        write_audio(folder / f"{name}.ogg", whistle(Units.of(ids)))
        rows.append(
            {
                "id": name,
                "audio": f"{name}.ogg",
                "text": " ".join(word for word, _, _ in words),
                "words": [[w, round(a, 3), round(b, 3)] for w, a, b in words],
                "split": split,
            }
        )
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "manifest.jsonl").write_text(lines, encoding="utf-8")


def _hear(waveform: Waveform) -> Units:
    count = len(waveform.samples) // FRAME
    frames = waveform.samples[: count * FRAME].reshape(count, FRAME)
    spectra = np.abs(np.fft.rfft(frames * np.hanning(FRAME), axis=1))
    peaks = spectra.argmax(axis=1) * SAMPLE_RATE / FRAME
    units = np.clip(np.round((peaks - LOWEST) / STEP), 0, len(LETTERS) - 1).astype(np.int64)
    units = units[np.sqrt((frames**2).mean(axis=1)) > 0.01]
    if len(units) == 0:
        return Units(units, units.copy())
    starts = np.flatnonzero(np.concatenate([[True], units[1:] != units[:-1]]))
    return Units(units[starts], np.diff(np.append(starts, len(units))))
