"""When the words of an utterance were said: as the corpus says, as aligned, or as heard."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from orality.corpus import Utterance
from orality.errors import CorpusError
from orality.protocols import SupportsAlignment, SupportsWordTimes, Transcriber
from orality.types import Transcript, Waveform, Word

How = Literal["auto", "words", "aligned", "asr", "pause", "fixed"]


@dataclass(frozen=True, slots=True)
class CutRule:
    """How prompts are cut.

    `how`: `words` that the corpus times, words `aligned` with its transcript by a model, words that
    an `asr` hears and times, at a `pause`, `fixed` at the seconds asked for, or `auto`: the first
    of these, but for the last, that an utterance allows. `component`: gives the transcriber that
    aligns and hears; called when it is needed. `spoken_text`: whether texts stay in the language
    that is spoken; where a transcriber translates, it also writes down the prompts.
    """

    how: How = "auto"
    component: Callable[[], Transcriber] | None = None
    spoken_text: bool = True

    def allows(self, source: str) -> bool:
        """Whether word times of a source are looked for."""
        return self.how in ("auto", source)


@dataclass(frozen=True, slots=True)
class Timed:
    """Words with times, which are `approximate` unless a forced aligner made them.

    `source`: `words`, `aligned` or `asr`; None where nothing is known. `model`: what made the
    times, None for the corpus. `confidence`: in [0, 1], where the model has one.
    """

    source: str | None = None
    words: tuple[Word, ...] = ()
    approximate: bool = False
    model: str | None = None
    confidence: float | None = None


@dataclass
class WordTimes:
    """Finds the times of a batch's words; a model is built only for utterances that need one."""

    rule: CutRule
    _built: list[Transcriber] = field(default_factory=list)

    def __call__(self, batch: Sequence[tuple[Utterance, Waveform]]) -> list[Timed]:
        """One each, in order. CorpusError when the rule asks for what the transcriber cannot do."""
        found = [Timed()] * len(batch)
        for index, (utterance, _) in enumerate(batch):
            if utterance.words and self.rule.allows("words"):
                found[index] = Timed("words", utterance.words)
        self._align(batch, found)
        self._hear(batch, found)
        return found

    def _align(self, batch: Sequence[tuple[Utterance, Waveform]], found: list[Timed]) -> None:
        rows = [
            row
            for row, (utterance, _) in enumerate(batch)
            if found[row].source is None and (utterance.text or "").strip()
        ]
        if not rows or not self.rule.allows("aligned"):
            return
        component = self._component()
        if not isinstance(component, SupportsAlignment) or component.aligner is None:
            if self.rule.how == "aligned":
                raise CorpusError(
                    "corpus.cut is 'aligned', and the transcriber cannot align a text; wanted one "
                    "that can as corpus.transcriber (a CTC model of NeMo's, Whisper)"
                )
            return
        heard = component.align(
            [batch[row][1] for row in rows], [batch[row][0].text or "" for row in rows]
        )
        for row, transcript in zip(rows, heard, strict=True):
            if transcript is not None and transcript.words:
                found[row] = _timed(
                    "aligned", transcript, component.aligner, not component.aligns_exactly
                )

    def _hear(self, batch: Sequence[tuple[Utterance, Waveform]], found: list[Timed]) -> None:
        rows = [row for row, timed in enumerate(found) if timed.source is None]
        if not rows or not self.rule.allows("asr"):
            return
        component = self._component()
        if not isinstance(component, SupportsWordTimes) or not component.timestamps:
            if self.rule.how == "asr":
                raise CorpusError(
                    "corpus.cut is 'asr', and the transcriber does not time words; wanted one with "
                    "timestamps: true as corpus.transcriber"
                )
            return
        name = component.aligner if isinstance(component, SupportsAlignment) else None
        name = name or type(component).__name__
        heard = component.transcribe([batch[row][1] for row in rows])
        for row, transcript in zip(rows, heard, strict=True):
            if transcript.words:
                found[row] = _timed("asr", transcript, name, True)

    def _component(self) -> Transcriber | None:
        if not self._built and self.rule.component is not None:
            self._built.append(self.rule.component())
        return self._built[0] if self._built else None


def _timed(source: str, transcript: Transcript, model: str, approximate: bool) -> Timed:
    return Timed(source, transcript.words, approximate, model, transcript.confidence)
