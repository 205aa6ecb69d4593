"""Utterances become prompt records: read, cut near 3 s at a word boundary, turned into units."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from orality.audio import write_audio
from orality.audio.silence import voiced_seconds
from orality.corpus import Utterance, cut_at_pause, cut_at_word, cut_sample
from orality.corpus.cut import MIN_CONTINUATION_SECONDS
from orality.errors import AudioError, AudioLimitError
from orality.feedback.schemas import PROMPTS
from orality.feedback.word_times import CutRule, Timed, WordTimes
from orality.protocols import SpeechTokenizer, Transcriber
from orality.text.languages import is_same
from orality.text.scripts import join
from orality.types import Waveform

Record = dict[str, Any]

FOREIGN = "its language is "
_LACKING = {
    "words": "the corpus does not say when its words were said",
    "aligned": "its transcript could not be aligned",
    "asr": "no words were heard in it",
}


class Cutting:
    """Utterances to prompt records, a batch at a time.

    `fixed_cut`: cut at `prompt_seconds` sharp, or the whole rule; without one, words are timed by
    `transcriber` where the corpus does not time them and the transcriber can. It also writes down
    the prompts whose words are not known. What is in another `language` is no prompt; None: all
    languages are.
    """

    def __init__(
        self,
        run: Path,
        tokenizer: SpeechTokenizer,
        transcriber: Callable[[], Transcriber] | None,
        min_seconds: float,
        prompt_seconds: float,
        fixed_cut: bool | CutRule,
        language: str | None = None,
    ) -> None:
        self.run, self.tokenizer, self.transcriber = run, tokenizer, transcriber
        self.min_seconds, self.prompt_seconds = min_seconds, prompt_seconds
        if isinstance(fixed_cut, CutRule):
            self.rule = fixed_cut
        else:
            self.rule = CutRule("fixed" if fixed_cut else "auto", transcriber)
        self.language = language
        self._word_times = WordTimes(self.rule)

    def __call__(self, utterances: Sequence[Utterance], shard: str) -> list[Record]:
        """One record each, in order; what cannot be a prompt says why in `skipped`.

        `shard`: the folder, below `prompts/audio`, of the prompts' audio.
        """
        records = [_record(utterance) for utterance in utterances]
        usable: list[tuple[Record, Utterance, Waveform]] = []
        for record, utterance in zip(records, utterances, strict=True):
            whole = self._read(utterance, record)
            if whole is not None:
                usable.append((record, utterance, whole))
        times = self._word_times([(utterance, whole) for _, utterance, whole in usable])
        spoken: list[tuple[Record, Waveform, Waveform]] = []
        for (record, utterance, whole), timed in zip(usable, times, strict=True):
            prompt = self._cut(utterance, whole, timed, record)
            if prompt is not None:
                spoken.append((record, prompt, whole))
        self._encode(spoken, shard)
        self._write_down([(r, p) for r, p, _ in spoken if r["skipped"] is None])
        return records

    def _read(self, utterance: Utterance, record: Record) -> Waveform | None:
        if self.language is not None and not is_same(utterance.language, self.language):
            record["skipped"] = f"{FOREIGN}{utterance.language!r}, not {self.language!r}"
            return None
        try:
            whole = utterance.load(sample_rate=self.tokenizer.sample_rate)
        except AudioLimitError as error:  # a whole recording, but not for this corpus
            record["skipped"] = str(error)
            return None
        except AudioError as error:
            record |= {"skipped": str(error), "unreadable": True}
            return None
        record["seconds"] = whole.duration
        if whole.duration < self.min_seconds:
            record["skipped"] = f"{whole.duration:.2f} s is shorter than {self.min_seconds:g} s"
        elif voiced_seconds(whole) == 0:
            record["skipped"] = "silence: nothing in it is loud enough to be speech"
        return whole if record["skipped"] is None else None

    def _cut(
        self, utterance: Utterance, whole: Waveform, timed: Timed, record: Record
    ) -> Waveform | None:
        source, how = timed.source, self.rule.how
        words = timed.words or utterance.words
        cut: float | None = self.prompt_seconds
        if how == "fixed":
            source = "fixed"
        elif source is not None:
            cut = cut_at_word(words, whole.duration, target=self.prompt_seconds)
        elif how in ("auto", "pause"):
            source, cut = "pause", cut_at_pause(whole, target=self.prompt_seconds)
        else:
            record["skipped"] = _LACKING[how]
            return None
        if cut is None or cut > whole.duration - MIN_CONTINUATION_SECONDS:
            record["skipped"] = f"no place to cut near {self.prompt_seconds:g} s"
            return None
        prompt = Waveform(whole.samples[: cut_sample(cut, whole.sample_rate)], whole.sample_rate)
        if voiced_seconds(prompt) == 0:
            record["skipped"] = "silence: nothing in the prompt is loud enough to be speech"
            return None
        record |= {
            "cut": cut,
            "cut_source": source,
            "cut_approximate": source == "pause" or timed.approximate,
            "cut_model": timed.model,
            "cut_confidence": timed.confidence,
        }
        if words and self.rule.spoken_text:
            before = [word.text for word in words if word.end <= cut + 1e-6]
            after = [word.text for word in words if word.end > cut + 1e-6]
            record |= {"prompt_text": join(*before), "continuation_text": join(*after)}
        return prompt

    def _encode(self, spoken: Sequence[tuple[Record, Waveform, Waveform]], shard: str) -> None:
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

    def _write_down(self, spoken: Sequence[tuple[Record, Waveform]]) -> None:
        silent_text = [(r, p) for r, p in spoken if r["prompt_text"] is None]
        if self.transcriber is None or not silent_text:
            return
        transcripts = self.transcriber().transcribe([prompt for _, prompt in silent_text])
        for (record, _), transcript in zip(silent_text, transcripts, strict=True):
            record["prompt_text"] = transcript.text
            if not transcript.text:
                record["skipped"] = "no speech is heard in the prompt"


def _record(utterance: Utterance) -> Record:
    record: Record = dict.fromkeys(PROMPTS.names)
    return record | {
        "id": utterance.id,
        "split": utterance.split,
        "language": utterance.language,
        "audio": utterance.audio,
        "text": utterance.text,
        "unreadable": False,
    }


def file_name(record_id: str) -> str:
    """An id as a file name: itself where that is safe, else a readable part and a hash."""
    safe = re.sub(r"[^\w.-]", "_", record_id)[:80].encode()[:120].decode(errors="ignore")
    if safe == record_id:
        return safe
    return f"{safe}-{hashlib.sha256(record_id.encode()).hexdigest()[:8]}"
