"""When the words of a given text were said: the attention of a decoder that is made to write it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from orality import Transcript
from orality.audio.silence import is_silent
from orality_asr_whisper.alignment import SECONDS_PER_STATE, token_starts
from orality_asr_whisper.batches import Clip, batches, states_of
from orality_asr_whisper.decoding import Rules, mean_log_probs
from orality_asr_whisper.features import SAMPLE_RATE
from orality_asr_whisper.segments import LONGEST
from orality_asr_whisper.words import timed

Tokens = list[tuple[str, list[int]]]  # words, each with its tokens


@dataclass(frozen=True, slots=True)
class Forced:
    """A Whisper as an aligner. `heads`: (layer, head) that follow the speech."""

    model: Any
    tokenizer: Any
    silence: torch.Tensor
    heads: Sequence[tuple[int, int]]
    batch_seconds: float

    def align(
        self, clips: Sequence[Clip], texts: Sequence[str], rules: Rules, language: str
    ) -> list[Transcript | None]:
        """One each; None for silence, no text, more than 24 s, and more tokens than are allowed."""
        words = [self._words(text) for text in texts]
        room = self.model.config.max_target_positions - len(rules.prompt) - 1
        rows = [
            row
            for row, clip in enumerate(clips)
            if 0 < sum(len(ids) for _, ids in words[row]) <= room
            and len(clip) <= LONGEST
            and not is_silent(clip, SAMPLE_RATE)
        ]
        found: list[Transcript | None] = [None] * len(clips)
        for part in batches([len(clips[row]) for row in rows], self.batch_seconds):
            chosen = [rows[index] for index in part]
            aligned = self._align(
                [clips[row] for row in chosen], [words[row] for row in chosen], rules, language
            )
            for row, transcript in zip(chosen, aligned, strict=True):
                found[row] = transcript
        return found

    def _words(self, text: str) -> Tokens:
        """As Whisper would write them: it does not write capitals throughout, corpora do."""
        written = str.lower if text.isupper() else str
        return [
            (word, self.tokenizer.encode(" " + written(word), add_special_tokens=False).ids)
            for word in text.split()
        ]

    def _align(
        self, clips: Sequence[Clip], words: Sequence[Tokens], rules: Rules, language: str
    ) -> list[Transcript]:
        texts = [[token for _, ids in text for token in ids] for text in words]
        lengths = [math.ceil(len(clip) / SAMPLE_RATE / SECONDS_PER_STATE) for clip in clips]
        with torch.inference_mode():
            states = states_of(self.model, self.silence, clips)
            starts = token_starts(self.model, states, rules, texts, self.heads, lengths)
            means = mean_log_probs(self.model, states, rules, texts)
        return [
            Transcript(
                " ".join(word for word, _ in text),
                language=language,
                words=tuple(timed([(word, len(ids)) for word, ids in text], times, clip)),
                confidence=min(1.0, math.exp(mean)),
            )
            for text, times, clip, mean in zip(words, starts, clips, means, strict=True)
        ]
