"""The likeliest letter at each frame, and the frames of given letters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from orality import CompatibilityError, Transcript, Waveform, Word, resample
from orality.audio.ctc import align_words, spelled
from orality.audio.silence import cut_at_silence, is_silent

_LONGEST, _SEARCH = 30.0, 8.0  # seconds of a piece, and where its end is looked for
_NEVER = -30.0  # nats: what is not said in a silence


@dataclass(frozen=True, slots=True)
class Alphabet:
    """Letters with the outputs that stand for them; `space`: between words, if it is written."""

    letters: dict[str, int]
    blank: int
    space: int | None


class CtcTranscriber:
    """A CTC model of letters; see `orality.Transcriber` and `orality.Aligner`."""

    aligns_exactly = True

    def __init__(
        self,
        model: Any,
        alphabet: Alphabet,
        *,
        sample_rate: int = 16_000,
        normalize: bool = True,
        language: str = "en",
        timestamps: bool = False,
        name: str = "",
    ) -> None:
        self._model, self._alphabet, self._normalize = model, alphabet, normalize
        self.sample_rate, self.language, self.timestamps = sample_rate, language, timestamps
        self.aligner = f"ctc {name}".strip()
        self._stride = int(model.config.inputs_to_logits_ratio)  # samples of a frame

    def transcribe(
        self, batch: Sequence[Waveform], *, language: str | None = None
    ) -> list[Transcript]:
        """Write down each waveform; silence gives an empty text. CompatibilityError for another
        language than the model's."""
        self._check_language(language)
        return [self._transcribe(self._samples(waveform)) for waveform in batch]

    def align(
        self, batch: Sequence[Waveform], texts: Sequence[str], *, language: str | None = None
    ) -> list[Transcript | None]:
        """The times of each text's words; None for silence, no words, and more letters than fit."""
        self._check_language(language)
        found: list[Transcript | None] = []
        for waveform, text in zip(batch, texts, strict=True):
            samples = self._samples(waveform)
            words = [(word, self._tokens(word)) for word in text.split()]
            if not words or is_silent(samples, self.sample_rate):
                found.append(None)
                continue
            space = self._alphabet.space
            found.append(
                align_words(
                    self._log_probs(samples),
                    words,
                    blank=self._alphabet.blank,
                    frame_seconds=self._stride / self.sample_rate,
                    seconds=len(samples) / self.sample_rate,
                    between=[] if space is None else [space],
                    language=self.language,
                )
            )
        return found

    def _tokens(self, word: str) -> list[int]:
        letters = self._alphabet.letters
        return [letters[letter] for letter in spelled(word, letters)]

    def _transcribe(self, samples: NDArray[np.float32]) -> Transcript:
        if is_silent(samples, self.sample_rate):
            return Transcript("", language=self.language)
        log_probs = self._log_probs(samples)
        best = log_probs.argmax(axis=1)
        names = {number: letter for letter, number in self._alphabet.letters.items()}
        lower = not any(letter.islower() for letter in names.values())
        words: list[tuple[str, int, int]] = []  # text, first frame, frame after the last
        apart = True
        for first, end in _runs(best):
            token = int(best[first])
            if token in names:
                letter = names[token].lower() if lower else names[token]
                if apart:
                    words.append((letter, first, end))
                else:
                    words[-1] = (words[-1][0] + letter, words[-1][1], end)
            if token != self._alphabet.blank:
                apart = token not in names
        seconds = self._stride / self.sample_rate
        said = log_probs[best != self._alphabet.blank].max(axis=1) if words else np.zeros(1)
        last = len(samples) / self.sample_rate
        return Transcript(
            " ".join(text for text, _, _ in words),
            language=self.language,
            words=tuple(
                Word(text, min(first * seconds, last), min(end * seconds, last))
                for text, first, end in words
                if self.timestamps
            ),
            confidence=math.exp(float(said.mean())) if words else None,
        )

    def _log_probs(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """(frames, vocabulary), a frame for each `stride` samples, whatever the pieces."""
        frames = -(-len(samples) // self._stride)
        table = np.full((frames, self._model.config.vocab_size), _NEVER, np.float32)
        table[:, self._alphabet.blank] = 0.0
        for start, piece in cut_at_silence(
            samples, self.sample_rate, longest=_LONGEST, search=_SEARCH
        ):
            if not is_silent(piece, self.sample_rate):
                found = self._hear(piece)
                first = round(start / self._stride)
                table[first : first + len(found)] = found[: frames - first]
        return table

    def _hear(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        values = samples.astype(np.float32)
        if self._normalize:
            values = (values - values.mean()) / np.sqrt(values.var() + 1e-7)
        with torch.inference_mode():
            given = torch.from_numpy(values)[None].to(self._model.device, self._model.dtype)
            logits = self._model(input_values=given).logits[0]
            return logits.float().log_softmax(-1).cpu().numpy()  # type: ignore[no-any-return]

    def _samples(self, waveform: Waveform) -> NDArray[np.float32]:
        samples = resample(waveform, self.sample_rate).samples
        return np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)

    def _check_language(self, language: str | None) -> None:
        if language not in (None, self.language):
            raise CompatibilityError(
                [f"this model writes {self.language!r} as configured, not {language!r}"]
            )


def _runs(values: NDArray[np.int64]) -> list[tuple[int, int]]:
    """First and end of each stretch of one value."""
    edges = np.flatnonzero(np.diff(values)) + 1
    bounds = [0, *edges.tolist(), len(values)]
    return list(pairwise(bounds)) if len(values) else []
