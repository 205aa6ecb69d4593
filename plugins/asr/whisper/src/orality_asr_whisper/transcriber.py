"""The transcriber: recordings in, texts out, in batches that never change a result."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from orality import CompatibilityError, Transcript, Waveform, Word
from orality.audio.silence import is_silent
from orality_asr_whisper import WhisperConfig
from orality_asr_whisper.alignment import SECONDS_PER_STATE, token_starts
from orality_asr_whisper.batches import clip_states, finite_samples, mixed_batches
from orality_asr_whisper.decoder import Decoder
from orality_asr_whisper.decoding import Decoded, Rules, greedy, silence
from orality_asr_whisper.features import SAMPLE_RATE
from orality_asr_whisper.forced import Forced
from orality_asr_whisper.segments import cut
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
    aligns_exactly = False  # attention is about where the words are, not exactly

    def __init__(self, model: Any, tokenizer: Any, config: WhisperConfig, habits: Habits) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._config = config
        self._habits = habits
        with torch.inference_mode():
            self._decoder = Decoder(model)
            self._silence = silence(model, model.config.num_mel_bins)

    def transcribe(
        self, batch: Sequence[Waveform], *, language: str | None = None
    ) -> list[Transcript]:
        """Write down each waveform; silence gives an empty text with no confidence.

        Recordings over 24 s are cut at quiet places. `confidence`: exp of the tokens' mean
        log-probability. `words`: where the configuration asks for their times. CompatibilityError
        for a language the checkpoint does not know.
        """
        spoken = language or self._config.language or "en"
        rules = self._rules(spoken)
        pieces = [piece for index, waveform in enumerate(batch) for piece in _cut(index, waveform)]
        found: dict[int, tuple[Decoded, list[Word]]] = {}
        for rows in mixed_batches([len(p.samples) for p in pieces], self._config.batch_seconds):
            clips = [pieces[row] for row in rows]
            found |= dict(zip(rows, self._decode(clips, rules, spoken), strict=True))
        heard: list[list[tuple[Decoded, list[Word]]]] = [[] for _ in batch]
        for row, piece in enumerate(pieces):
            item, words = found[row]
            if self._is_speech(item):
                heard[piece.index].append((item, words))
        written = "en" if self._config.task == "translate" else spoken
        return [self._transcript(items, written) for items in heard]

    @property
    def timestamps(self) -> bool:
        """Whether transcripts have words with times."""
        return self._config.timestamps

    @property
    def aligner(self) -> str:
        """What runs call it when it aligns given texts."""
        return f"attention whisper {Path(self._config.checkpoint).name}"

    def align(
        self, batch: Sequence[Waveform], texts: Sequence[str], *, language: str | None = None
    ) -> list[Transcript | None]:
        """The times of each text's words by the decoder's attention, were it to write that text.

        `confidence`: exp of the tokens' mean log-probability, low where something else was said.
        None for silence, for an empty text, and beyond 24 s or the decoder's length.
        """
        spoken = language or self._config.language or "en"
        forced = Forced(
            self._model,
            self._tokenizer,
            self._silence,
            self._habits.alignment_heads,
            self._config.batch_seconds,
        )
        clips = [finite_samples(waveform) for waveform in batch]
        return forced.align(clips, texts, self._rules(spoken, "transcribe"), spoken)

    def _decode(
        self, pieces: list[_Piece], rules: Rules, language: str
    ) -> list[tuple[Decoded, list[Word]]]:
        clips = [piece.samples for piece in pieces]
        with torch.inference_mode():
            states = clip_states(self._model, self._silence, clips)
            seconds = [len(clip) / SAMPLE_RATE for clip in clips]
            decoded = greedy(self._decoder, states, rules, seconds)
            words: list[list[Word]] = [[] for _ in clips]
            rows = [row for row, item in enumerate(decoded) if self._is_speech(item)]
            for length in {len(states[row]) for row in rows} if self._config.timestamps else ():
                alike = [row for row in rows if len(states[row]) == length]
                starts = token_starts(
                    self._model,
                    torch.stack([states[row] for row in alike]),
                    rules,
                    [decoded[row].ids for row in alike],
                    self._habits.alignment_heads,
                    [math.ceil(seconds[row] / SECONDS_PER_STATE) for row in alike],
                )
                for row, times in zip(alike, starts, strict=True):
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

    def _rules(self, language: str, task: str | None = None) -> Rules:
        task = task or self._config.task
        names = ["<|startoftranscript|>"]
        if self._habits.multilingual:
            names += [f"<|{language}|>", f"<|{task}|>"]
        elif language != "en" or task != "transcribe":
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
    for start, part in cut(finite_samples(waveform)):
        if not is_silent(part, SAMPLE_RATE):
            yield _Piece(index, start / SAMPLE_RATE, part)
