"""Utterances become prompt records: read, cut near 3 s at a word boundary, turned into units."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from orality.audio import read_audio, write_audio
from orality.corpus import Utterance, cut_at_pause, cut_at_word
from orality.errors import AudioError
from orality.feedback.schemas import PROMPTS
from orality.protocols import SpeechTokenizer, Transcriber
from orality.types import Waveform

Record = dict[str, Any]


class Cutting:
    """Utterances to prompt records, a batch at a time."""

    def __init__(
        self,
        run: Path,
        tokenizer: SpeechTokenizer,
        transcriber: Callable[[], Transcriber] | None,
        min_seconds: float,
        prompt_seconds: float,
        fixed_cut: bool,
    ) -> None:
        self.run, self.tokenizer, self.transcriber = run, tokenizer, transcriber
        self.min_seconds, self.prompt_seconds = min_seconds, prompt_seconds
        self.fixed_cut = fixed_cut

    def __call__(self, utterances: Sequence[Utterance], shard: str) -> list[Record]:
        records = []
        spoken: list[tuple[Record, Waveform, Waveform]] = []
        for utterance in utterances:
            record: Record = dict.fromkeys(PROMPTS.names)
            record |= {
                "id": utterance.id,
                "split": utterance.split,
                "language": utterance.language,
                "audio": str(utterance.audio),
                "text": utterance.text,
                "unreadable": False,
            }
            records.append(record)
            try:
                whole = read_audio(utterance.audio, sample_rate=self.tokenizer.sample_rate)
            except AudioError as error:
                record |= {"skipped": str(error), "unreadable": True}
                continue
            prompt = self._cut(utterance, whole, record)
            if prompt is not None:
                spoken.append((record, prompt, whole))
        prompts = self.tokenizer.encode([prompt for _, prompt, _ in spoken])
        wholes = self.tokenizer.encode([whole for _, _, whole in spoken])
        for (record, prompt, _), units, utterance_units in zip(
            spoken, prompts, wholes, strict=True
        ):
            if len(units) == 0:
                record["skipped"] = "the tokenizer finds no units in the prompt"
                continue
            name = f"prompts/audio/{shard}/{file_name(record['id'])}.flac"
            write_audio(self.run / name, prompt)
            record |= {
                "prompt_audio": name,
                "units": units.ids.tolist(),
                "durations": None if units.durations is None else units.durations.tolist(),
                "utterance_units": utterance_units.ids.tolist(),
            }
        self._write_down([(r, p) for r, p, _ in spoken if r["skipped"] is None])
        return records

    def _cut(self, utterance: Utterance, whole: Waveform, record: Record) -> Waveform | None:
        record["seconds"] = whole.duration
        if whole.duration < self.min_seconds:
            record["skipped"] = f"{whole.duration:.1f} s is shorter than {self.min_seconds:g} s"
            return None
        cut: float | None
        if self.fixed_cut:
            cut, source = self.prompt_seconds, "fixed"
        elif utterance.words:
            cut, source = (
                cut_at_word(utterance.words, whole.duration, target=self.prompt_seconds),
                "words",
            )
        else:
            cut, source = cut_at_pause(whole, target=self.prompt_seconds), "pause"
        if cut is None or cut >= whole.duration:
            record["skipped"] = f"no place to cut near {self.prompt_seconds:g} s"
            return None
        record |= {"cut": cut, "cut_source": source}
        if utterance.words:
            before = [word.text for word in utterance.words if word.end <= cut + 1e-6]
            after = [word.text for word in utterance.words if word.end > cut + 1e-6]
            record |= {"prompt_text": " ".join(before), "continuation_text": " ".join(after)}
        return Waveform(whole.samples[: round(cut * whole.sample_rate)], whole.sample_rate)

    def _write_down(self, spoken: Sequence[tuple[Record, Waveform]]) -> None:
        silent_text = [(r, p) for r, p in spoken if r["prompt_text"] is None]
        if self.transcriber is None or not silent_text:
            return
        transcripts = self.transcriber().transcribe([prompt for _, prompt in silent_text])
        for (record, _), transcript in zip(silent_text, transcripts, strict=True):
            record["prompt_text"] = transcript.text
            if not transcript.text:
                record["skipped"] = "no speech is heard in the prompt"


def file_name(record_id: str) -> str:
    """An id as a file name: itself where that is safe, else a readable part and a hash."""
    safe = re.sub(r"[^\w.-]", "_", record_id)[:80]
    if safe == record_id:
        return safe
    return f"{safe}-{hashlib.sha256(record_id.encode()).hexdigest()[:8]}"
