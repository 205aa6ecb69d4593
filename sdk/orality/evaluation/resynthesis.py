"""How much a tokenizer and a vocoder lose: what is heard before units and after (GSLM)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from orality.errors import EvaluationError
from orality.evaluation.wer import (
    ErrorRate,
    character_error_rate,
    normalize_english,
    word_error_rate,
)
from orality.protocols import SpeechTokenizer, Transcriber, Vocoder
from orality.types import Waveform


@dataclass(frozen=True, slots=True)
class Resynthesis:
    """Texts heard in the recordings (`originals`) and in what was spoken from their units."""

    originals: Sequence[str]
    texts: Sequence[str]
    wer: ErrorRate
    cer: ErrorRate


def resynthesis_error_rates(
    waveforms: Sequence[Waveform],
    *,
    tokenizer: SpeechTokenizer,
    vocoder: Vocoder,
    transcriber: Transcriber,
    references: Sequence[str] | None = None,
    language: str | None = None,
    normalize: Callable[[str], str] = normalize_english,
    batch_size: int = 8,
) -> Resynthesis:
    """WER and CER of recordings turned into units and back, by one transcriber.

    Measured against what the transcriber hears in the recordings themselves, or against
    `references`, the true texts. Silence after the round trip is an empty text: all deleted. Raises
    EvaluationError where there are no recordings or not as many references.
    """
    if not waveforms:
        raise EvaluationError("resynthesis needs at least one recording")
    if references is not None and len(references) != len(waveforms):
        raise EvaluationError(f"got {len(references)} references for {len(waveforms)} recordings")
    originals, texts = list(references or ()), []
    for start in range(0, len(waveforms), batch_size):
        batch = list(waveforms[start : start + batch_size])
        if references is None:
            originals += _heard(transcriber, batch, language)
        texts += _heard(transcriber, vocoder.synthesize(tokenizer.encode(batch)), language)
    return Resynthesis(
        originals,
        texts,
        word_error_rate(originals, texts, normalize=normalize),
        character_error_rate(originals, texts, normalize=normalize),
    )


def _heard(transcriber: Transcriber, batch: Sequence[Waveform], language: str | None) -> list[str]:
    spoken = [waveform for waveform in batch if len(waveform.samples)]
    texts = iter(transcriber.transcribe(spoken, language=language) if spoken else ())
    return [next(texts).text if len(waveform.samples) else "" for waveform in batch]
