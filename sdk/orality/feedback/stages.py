"""The four steps from a prompt to a verdict, each a function from records to records."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from orality.audio import read_audio, write_audio
from orality.errors import OralityError
from orality.feedback.auto_bleu import auto_bleu
from orality.feedback.cutting import file_name
from orality.feedback.seeds import seed_of
from orality.protocols import Judge, SpeechLM, Transcriber, Vocoder
from orality.silence import voiced_seconds
from orality.types import JudgeRequest, SamplingOptions, Units, Waveform

Record = dict[str, Any]


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


def _units(row: Record) -> Units:
    return Units(np.asarray(row["units"], dtype=np.int64))


def _waveform(speech: dict[str, Record], record_id: str, run: Path) -> Waveform | None:
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


def judge(
    judge: Judge,
    batch: Sequence[Record],
    prompts: dict[str, Record],
    speech: dict[str, Record],
    transcripts: dict[str, Record],
    run: Path,
    *,
    reads: frozenset[str],
    judge_name: str,
    scale: tuple[float, float],
    language: str | None = None,
) -> list[Record]:
    """Judge continuation records; a score outside `scale` is an error, not a verdict.

    `language`: of the texts, where it is not the prompts' own.
    """
    requests = []
    audio = "audio" in reads
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
                prompt_units=_units(prompt) if "units" in reads else None,
                continuation_units=_units(row) if "units" in reads else None,
            )
        )
    verdicts = judge.score(requests)
    if len(verdicts) != len(batch):
        raise OralityError(
            f"judge {judge_name!r} gave {len(verdicts)} verdicts for {len(batch)} requests"
        )
    for verdict in verdicts:
        if verdict.score is not None and not scale[0] <= verdict.score <= scale[1]:
            raise OralityError(
                f"judge {judge_name!r} gave the score {verdict.score}, outside its scale "
                f"{scale[0]:g} to {scale[1]:g}"
            )
    return [
        {
            "id": row["id"],
            "prompt_id": row["prompt_id"],
            "judge": judge_name,
            "score": verdict.score,
            "rationale": verdict.rationale,
            "metrics": json.dumps(dict(verdict.metrics), sort_keys=True),
        }
        for row, verdict in zip(batch, verdicts, strict=True)
    ]
