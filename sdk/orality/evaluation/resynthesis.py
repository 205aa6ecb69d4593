"""How much a tokenizer and a vocoder lose: what is heard before units and after (GSLM)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from orality.audio import read_audio
from orality.errors import AudioError, EvaluationError
from orality.evaluation.contents import content_of, is_unchanged
from orality.evaluation.journal import Journal
from orality.evaluation.likelihood.encoded import spec_name
from orality.evaluation.metrics.wer import (
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


def measure_resynthesis(
    recordings: Mapping[str, Path | None],
    *,
    tokenizer: SpeechTokenizer,
    vocoder: Vocoder,
    transcriber: Transcriber,
    transcriber_name: str,
    path: Path,
    batch_size: int = 8,
) -> dict[str, Any]:
    """Error rates by metric id over recordings, which are named, with what was heard in `path`.

    What `path` holds is not heard again. Recordings that are missing or cannot be read are counted
    (`n_failed`) and named; EvaluationError where none is left.
    """
    settings = {"units": spec_name(tokenizer.unit_spec), "transcriber": transcriber_name}
    journal = Journal(path, settings)
    failed: dict[str, str] = {}
    for name, source in recordings.items():
        stored = journal.rows.get(name)
        if stored is not None and source is not None and not is_unchanged(stored, source):
            del journal.rows[name]  # another recording under the same name is heard again
    todo = [name for name in recordings if name not in journal.rows]
    for start in range(0, len(todo), batch_size):
        waveforms: dict[str, Waveform] = {}
        for name in todo[start : start + batch_size]:
            source = recordings[name]
            try:
                if source is None:
                    raise AudioError("there is no recording")
                waveforms[name] = read_audio(source)
            except AudioError as error:
                failed[name] = str(error)
        if not waveforms:
            continue
        batch = list(waveforms.values())
        originals = _heard(transcriber, batch, None)
        texts = _heard(transcriber, vocoder.synthesize(tokenizer.encode(batch)), None)
        journal.append(
            {
                "id": name,
                "original": before,
                "text": after,
                **content_of(_present(recordings[name])),
            }
            for name, before, after in zip(waveforms, originals, texts, strict=True)
        )
    rows = [journal.rows[name] for name in recordings if name in journal.rows]
    if not rows:
        raise EvaluationError(f"none of {len(recordings)} recordings could be resynthesized")
    before, after = ([row[key] for row in rows] for key in ("original", "text"))
    rates = {"wer": word_error_rate(before, after), "cer": character_error_rate(before, after)}
    return {
        f"resynthesis-{kind}/{transcriber_name}/{rate.normalizer}": asdict(rate)
        for kind, rate in rates.items()
    } | {"n": len(rows), "n_failed": len(failed), "failed": failed}


def _present(source: Path | None) -> Path:
    assert source is not None  # it was read
    return source


def _heard(transcriber: Transcriber, batch: Sequence[Waveform], language: str | None) -> list[str]:
    spoken = [waveform for waveform in batch if len(waveform.samples)]
    texts = iter(transcriber.transcribe(spoken, language=language) if spoken else ())
    return [next(texts).text if len(waveform.samples) else "" for waveform in batch]
