"""The four steps from a prompt to a verdict, each a function from records to records."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from orality.audio import read_audio, write_audio
from orality.audio.silence import voiced_seconds
from orality.feedback.auto_bleu import auto_bleu
from orality.feedback.configured_judge import ConfiguredJudge
from orality.feedback.cutting import file_name
from orality.feedback.seeds import seed_of
from orality.protocols import SpeechLM, Transcriber, Vocoder
from orality.types import JudgeRequest, SamplingOptions, Units, Waveform

Record = dict[str, Any]
Fields = Mapping[str, Any]


def sample(
    slm: SpeechLM,
    batch: Sequence[Record],
    *,
    samples_per_prompt: int,
    max_new_units: int,
    sampling: SamplingOptions,
    seed: int,
    name: str,
) -> list[Record]:
    """Draw continuations of prompts; the draws depend on `seed`, `name` and the prompt's id."""
    drawn = slm.generate(
        [_units(row) for row in batch],
        num_samples=samples_per_prompt,
        max_new_units=max_new_units,
        sampling=sampling,
        seeds=[seed_of(seed, name, row["id"]) for row in batch],
    )
    return [
        {
            "id": f"{row['id']}-{index}",
            "prompt_id": row["id"],
            "index": index,
            "units": sample.units.ids.tolist(),
            "log_prob": sample.log_prob,
            "finished": sample.finished,
        }
        for row, samples in zip(batch, drawn, strict=True)
        for index, sample in enumerate(samples)
    ]


def synthesize(vocoder: Vocoder, batch: Sequence[Record], run: Path, folder: str) -> list[Record]:
    """Speak continuation records into `run`/`folder`; one without units stays silent."""
    waveforms = vocoder.synthesize([_units(row) for row in batch])
    records = []
    for row, waveform in zip(batch, waveforms, strict=True):
        audio = None
        if len(waveform.samples):
            audio = f"{folder}/{file_name(row['id'])}.flac"
            write_audio(run / audio, waveform)
        records.append(
            {
                "id": row["id"],
                "prompt_id": row["prompt_id"],
                "audio": audio,
                "seconds": waveform.duration,
                "voiced": voiced_seconds(waveform),
            }
        )
    return records


def _units(row: Fields) -> Units:
    return Units.of(row["units"])


def _waveform(speech: Mapping[str, Fields], record_id: str, run: Path) -> Waveform | None:
    row = speech.get(record_id)
    return None if row is None or row["audio"] is None else read_audio(run / row["audio"])


def transcribe(
    transcriber: Transcriber, batch: Sequence[Record], speech: dict[str, Record], run: Path
) -> list[Record]:
    """Write down what was spoken; silence is not even listened to, and its text is empty."""
    sounding = [row["id"] for row in batch if speech.get(row["id"], {}).get("voiced")]
    found = {name: _waveform(speech, name, run) for name in sounding}
    spoken = {name: waveform for name, waveform in found.items() if waveform is not None}
    heard = transcriber.transcribe(list(spoken.values())) if spoken else []
    transcripts = dict(zip(spoken, heard, strict=True))
    records = []
    for row in batch:
        transcript = transcripts.get(row["id"])
        text = transcript.text if transcript else ""
        records.append(
            {
                "id": row["id"],
                "prompt_id": row["prompt_id"],
                "text": text,
                "language": transcript.language if transcript else None,
                "auto_bleu": auto_bleu(text),
            }
        )
    return records


def judge_requests(
    reads: frozenset[str],
    batch: Sequence[Fields],
    prompts: Mapping[str, Fields],
    speech: Mapping[str, Fields],
    transcripts: Mapping[str, Fields],
    run: Path,
    *,
    language: str | None = None,
) -> list[JudgeRequest]:
    """What a judge that `reads` text, audio or units is asked about continuation records.

    `language`: of the texts, where it is not the prompts' own.
    """
    requests = []
    audio, units = "audio" in reads, "units" in reads
    for row in batch:
        prompt = prompts[row["prompt_id"]]
        requests.append(
            JudgeRequest(
                id=row["id"],
                language=language or prompt["language"],
                prompt_text=prompt["prompt_text"],
                continuation_text=transcripts.get(row["id"], {}).get("text"),
                prompt_audio=read_audio(run / prompt["prompt_audio"]) if audio else None,
                continuation_audio=_waveform(speech, row["id"], run) if audio else None,
                prompt_units=_units(prompt) if units else None,
                continuation_units=_units(row) if units else None,
            )
        )
    return requests


def judge(
    judge: ConfiguredJudge,
    batch: Sequence[Record],
    prompts: Mapping[str, Record],
    speech: Mapping[str, Record],
    transcripts: Mapping[str, Record],
    run: Path,
    *,
    language: str | None = None,
) -> list[Record]:
    """Judge continuation records; see `judge_requests` and `ConfiguredJudge.score`."""
    requests = judge_requests(
        judge.reads, batch, prompts, speech, transcripts, run, language=language
    )
    verdicts = judge.score(requests)
    return [
        {
            "id": row["id"],
            "prompt_id": row["prompt_id"],
            "judge": judge.name,
            "score": verdict.score,
            "rationale": verdict.rationale,
            "metrics": json.dumps(verdict.measured, sort_keys=True),
        }
        for row, verdict in zip(batch, verdicts, strict=True)
    ]
