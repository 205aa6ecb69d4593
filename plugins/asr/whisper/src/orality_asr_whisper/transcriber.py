"""The transcriber: recordings in, texts out, in batches that never change a result."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from orality import CompatibilityError, Transcript, Waveform, Word, resample
from orality.silence import is_silent
from orality_asr_whisper import WhisperConfig
from orality_asr_whisper.alignment import SECONDS_PER_STATE, token_starts
from orality_asr_whisper.decoding import Decoded, Rules, encode, greedy, silence, with_silence
from orality_asr_whisper.features import SAMPLE_RATE, log_mel
from orality_asr_whisper.segments import cut, padded_length
from orality_asr_whisper.words import group, timed

# Words surer than this (mean log-probability) count even where silence seems likely, as in
# "Robust Speech Recognition via Large-Scale Weak Supervision", section 4.5.
_SURE = -1.0
# How much a text that goes round in circles can be compressed, as there.
_LOOP = 2.4


@dataclass(frozen=True, slots=True)
class Habits:
    """What a checkpoint never says, whether it knows languages, and which heads (layer, head)
    follow the speech."""

    suppressed: tuple[int, ...]
    suppressed_first: tuple[int, ...]
    multilingual: bool
    alignment_heads: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    """Part of the recording `index` of a batch, from `start` seconds on."""

    index: int
    start: float
    samples: NDArray[np.float32]


class WhisperTranscriber:
    """A Whisper model with its tokenizer; see `orality.Transcriber`."""

    sample_rate = SAMPLE_RATE

    def __init__(self, model: Any, tokenizer: Any, config: WhisperConfig, habits: Habits) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._config = config
        self._habits = habits
        with torch.inference_mode():
            self._silence = silence(model, model.config.num_mel_bins)

    def transcribe(
        self, batch: Sequence[Waveform], *, language: str | None = None
    ) -> list[Transcript]:
        """Write down each waveform; silence gives an empty text with no confidence.

        Recordings over 24 s are cut at quiet places. `confidence`: exp of the tokens' mean
        log-probability. `words`: where the configuration asks for their times. CompatibilityError
        for a language the checkpoint does not know.
        """
        spoken = language or self._config.language
        rules = self._rules(spoken)
        pieces = [piece for index, waveform in enumerate(batch) for piece in _cut(index, waveform)]
        found: dict[int, tuple[Decoded, list[Word]]] = {}
        for rows in _batches([len(p.samples) for p in pieces], self._config.batch_seconds):
            clips = [pieces[row] for row in rows]
            found |= dict(zip(rows, self._decode(clips, rules, spoken), strict=True))
        heard: list[list[tuple[Decoded, list[Word]]]] = [[] for _ in batch]
        for row, piece in enumerate(pieces):
            item, words = found[row]
            if self._is_speech(item):
                heard[piece.index].append((item, words))
        written = "en" if self._config.task == "translate" else spoken
        return [self._transcript(items, written) for items in heard]

    def _decode(
        self, pieces: list[_Piece], rules: Rules, language: str
    ) -> list[tuple[Decoded, list[Word]]]:
        clips = [piece.samples for piece in pieces]
        padded = np.zeros((len(clips), padded_length(len(clips[0]))), np.float32)
        for row, clip in enumerate(clips):
            padded[row, : len(clip)] = clip
        with torch.inference_mode():
            samples = torch.from_numpy(padded).to(self._model.device)
            mels = log_mel(samples, self._model.config.num_mel_bins).to(self._model.dtype)
            states = with_silence(encode(self._model, mels), self._silence)
            seconds = [len(clip) / SAMPLE_RATE for clip in clips]
            decoded = greedy(self._model, states, rules, seconds)
            words: list[list[Word]] = [[] for _ in clips]
            rows = [row for row, item in enumerate(decoded) if self._is_speech(item)]
            if self._config.timestamps and rows:
                starts = token_starts(
                    self._model,
                    states[rows],
                    rules,
                    [decoded[row].ids for row in rows],
                    self._habits.alignment_heads,
                    [math.ceil(seconds[row] / SECONDS_PER_STATE) for row in rows],
                )
                for row, times in zip(rows, starts, strict=True):
                    grouped = group(decoded[row].ids, self._tokenizer.decode, language)
                    words[row] = timed(grouped, times, clips[row], offset=pieces[row].start)
        return list(zip(decoded, words, strict=True))

    def _is_speech(self, item: Decoded) -> bool:
        text, silence = self._tokenizer.decode(item.ids), self._config.no_speech_threshold
        if item.mean_log_prob < _SURE and item.no_speech > silence:
            return False
        # Of a hum it is ever surer, dot after dot; people who repeat themselves sound like speech.
        if _compression(text) > _LOOP and item.no_speech > (1 + silence) / 2:
            return False
        return any(map(str.isalnum, text))

    def _transcript(self, items: list[tuple[Decoded, list[Word]]], language: str) -> Transcript:
        task = self._config.task
        if not items:
            return Transcript("", language=language, task=task)
        texts = [self._tokenizer.decode(item.ids).strip() for item, _ in items]
        tokens = [len(item.ids) + 1 for item, _ in items]
        total = sum(item.mean_log_prob * n for (item, _), n in zip(items, tokens, strict=True))
        return Transcript(
            " ".join(text for text in texts if text),
            language=language,
            task=task,
            words=tuple(word for _, words in items for word in words),
            confidence=min(1.0, math.exp(total / sum(tokens))),
        )

    def _rules(self, language: str) -> Rules:
        names = ["<|startoftranscript|>"]
        if self._habits.multilingual:
            names += [f"<|{language}|>", f"<|{self._config.task}|>"]
        elif language != "en" or self._config.task != "transcribe":
            raise CompatibilityError(
                [f"{self._config.checkpoint} only transcribes English, not {language!r}"]
            )
        ids = [self._tokenizer.token_to_id(name) for name in (*names, "<|notimestamps|>")]
        if None in ids:
            raise CompatibilityError(
                [f"{self._config.checkpoint} does not know the language {language!r}"]
            )
        silent = [self._tokenizer.token_to_id(f"<|no{w}|>") for w in ("speech", "captions")]
        end = self._tokenizer.token_to_id("<|endoftext|>")
        # Without timestamps every special token but the end is out of place.
        special = range(end + 1, self._model.config.vocab_size)
        return Rules(
            prompt=tuple(ids),
            end=end,
            no_speech=next((i for i in silent if i is not None), None),
            suppressed=(*self._habits.suppressed, *special),
            suppressed_first=self._habits.suppressed_first,
        )


def _compression(text: str) -> float:
    content = text.encode()
    return len(content) / len(zlib.compress(content))


def _cut(index: int, waveform: Waveform) -> Iterator[_Piece]:
    """The parts of a recording that hold sound."""
    samples = resample(waveform, SAMPLE_RATE).samples
    samples = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
    for start, part in cut(samples):
        if not is_silent(part, SAMPLE_RATE):
            yield _Piece(index, start / SAMPLE_RATE, part)


def _batches(lengths: Sequence[int], batch_seconds: float) -> Iterator[list[int]]:
    """Row numbers of clips with equal padded length, at most `batch_seconds` of audio each."""
    groups: dict[int, list[int]] = {}
    for row, length in enumerate(lengths):
        groups.setdefault(padded_length(length), []).append(row)
    for length, rows in sorted(groups.items()):
        size = max(1, int(batch_seconds * SAMPLE_RATE / length))
        yield from (rows[start : start + size] for start in range(0, len(rows), size))
