"""NeMo's transcribe on arrays, with its traps avoided."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orality import CompatibilityError, Transcript, Waveform, resample
from orality.audio.silence import is_silent
from orality_asr_nemo.alignment import ctc_aligner
from orality_asr_nemo.prompts import Prompt
from orality_asr_nemo.recordings import Piece, cut
from orality_asr_nemo.words import words_of

_SHORTEST_PROMPTED = 1.0  # seconds; NeMo pads multitask models' input to it, files and arrays alike


class NemoTranscriber:
    """A NeMo model; see `orality.Transcriber`. Silence gives an empty text without asking it.

    `target_language`: translate into it; None transcribes. Raises CompatibilityError when the
    model cannot translate, or cannot tell when words are said. `name`: what runs call the model.
    A model with a CTC decoder also aligns given texts, see `orality.Aligner`.
    """

    aligns_exactly = True

    def __init__(
        self,
        model: Any,
        *,
        language: str = "en",
        target_language: str | None = None,
        timestamps: bool = False,
        punctuation: bool = True,
        batch_size: int = 16,
        name: str = "nemo",
    ) -> None:
        self._ctc = ctc_aligner(model)
        self.aligner = None if self._ctc is None else f"ctc {name}"
        self.model, self.language, self.target_language = model, language, target_language
        self.timestamps, self.batch_size = timestamps, batch_size
        self.sample_rate = _sample_rate(model)
        settings = model.get_transcribe_config()
        self._prompt = (
            Prompt(model, punctuation, timestamps) if hasattr(settings, "prompt") else None
        )
        self._names_language = hasattr(settings, "target_lang")
        if target_language is not None and self._prompt is None:
            raise CompatibilityError(
                [f"a {type(model).__name__} cannot translate; wanted a multitask model (Canary)"]
            )

    def transcribe(
        self, batch: Sequence[Waveform], *, language: str | None = None
    ) -> list[Transcript]:
        """One transcript each, in order; `words` where the configuration asks for their times.

        For multitask models recordings over 40 s are cut at quiet places. CompatibilityError for a
        language that the model does not know.
        """
        spoken = language or self.language
        written = self.target_language or spoken
        self._check_language(spoken)
        pieces = [
            Piece(index, start, samples)
            for index, waveform in enumerate(batch)
            for start, samples in self._cut(resample(waveform, self.sample_rate).samples)
            if not is_silent(samples, self.sample_rate)
        ]
        # Like lengths together, so that little is padded; the longest first shows if memory does.
        pieces.sort(key=lambda piece: len(piece.samples), reverse=True)
        texts: list[list[tuple[float, str, Any]]] = [[] for _ in batch]
        heard = self._hear([piece.samples for piece in pieces], spoken, written)
        for piece, hypothesis in zip(pieces, heard, strict=True):
            words = self._words(piece, hypothesis) if self.timestamps else ()
            text = str(getattr(hypothesis, "text", hypothesis)).strip()
            texts[piece.index].append((piece.start, text, words))
        task = "transcribe" if self.target_language is None else "translate"
        return [_joined(sorted(parts, key=lambda part: part[0]), written, task) for parts in texts]

    def align(
        self, batch: Sequence[Waveform], texts: Sequence[str], *, language: str | None = None
    ) -> list[Transcript | None]:
        """The times of each text's words by the CTC decoder; None for silence and misfits.

        Letters count as the model writes them, whatever their case; a word it cannot write is
        placed where something is said between its neighbors. CompatibilityError without a CTC
        decoder.
        """
        if self._ctc is None:
            raise CompatibilityError(
                [f"a {type(self.model).__name__} has no CTC decoder, so it aligns no given text"]
            )
        clips = [resample(waveform, self.sample_rate).samples for waveform in batch]
        rows = [row for row, clip in enumerate(clips) if not is_silent(clip, self.sample_rate)]
        rows.sort(key=lambda row: len(clips[row]), reverse=True)
        found: list[Transcript | None] = [None] * len(clips)
        for start in range(0, len(rows), self.batch_size):
            part = rows[start : start + self.batch_size]
            aligned = self._ctc.align(
                [clips[row] for row in part],
                [texts[row] for row in part],
                self.sample_rate,
                language or self.language,
            )
            for row, transcript in zip(part, aligned, strict=True):
                found[row] = transcript
        return found

    def _hear(self, clips: list[NDArray[np.float32]], spoken: str, written: str) -> list[Any]:
        if not clips:
            return []
        settings = self.model.get_transcribe_config()
        settings.batch_size, settings.verbose = self.batch_size, False
        settings.num_workers = 0  # None would start processes, for arrays already in memory
        settings.return_hypotheses = settings.timestamps = self.timestamps
        if self._prompt is not None:
            settings.prompt = self._prompt.turns(spoken, written)
            # It would merge all arrays of a call into one text.
            settings.enable_chunking = False
        else:
            # Arrays below 1 s would be padded on both sides, unlike files, and read differently.
            settings.pad_min_duration = 0.0
        if self._names_language:
            settings.target_lang = spoken
        asked = {"timestamps": True} if self.timestamps else {}
        try:
            heard = self.model.transcribe(clips, override_config=settings, **asked)
        finally:
            self.model.eval()  # transcribe leaves parts of the model in training mode
        # Beam search gives several hypotheses, the best first.
        return [item[0] if isinstance(item, list) else item for item in heard]

    def _cut(self, samples: NDArray[np.float32]) -> list[tuple[float, NDArray[np.float32]]]:
        finite = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0).astype(np.float32)
        return [(0.0, finite)] if self._prompt is None else cut(finite, self.sample_rate)

    def _words(self, piece: Piece, hypothesis: Any) -> Any:
        seconds = len(piece.samples) / self.sample_rate
        padded = 0.0
        if self._prompt is not None:
            padded = max(0.0, (_SHORTEST_PROMPTED - seconds) / 2)
        return words_of(hypothesis, seconds=seconds, shift=-padded, start=piece.start)

    def _check_language(self, spoken: str) -> None:
        if self.target_language == spoken:
            raise CompatibilityError([f"{spoken!r} cannot be translated into itself"])
        if self._prompt is None and not self._names_language and spoken != self.language:
            raise CompatibilityError(
                [f"this model writes {self.language!r} as configured, not {spoken!r}"]
            )


def _joined(parts: list[tuple[float, str, Any]], language: str, task: str) -> Transcript:
    text = " ".join(text for _, text, _ in parts if text)
    words = tuple(word for _, _, words in parts for word in words)
    return Transcript(text, language=language, task=task, words=words)


def _sample_rate(model: Any) -> int:
    """In Hz, from the model's configuration; NeMo needs it on the model for arrays, too."""
    preprocessor = model.cfg.get("preprocessor") or {}
    rate = int(preprocessor.get("sample_rate") or model.cfg.get("sample_rate") or 16_000)
    if "sample_rate" not in model.cfg and not hasattr(model, "sample_rate"):
        model.sample_rate = rate
    return rate
