"""Held-out prompts continued, spoken, written down and judged: one stored record per sample."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from orality.errors import EvaluationError
from orality.evaluation.continuations.metric import Names, perplexity_of
from orality.evaluation.journal import Journal
from orality.feedback import ConfiguredJudge, stages
from orality.feedback.auto_bleu import auto_bleu
from orality.progress import Progress, silent
from orality.protocols import SpeechLM, Transcriber, Vocoder
from orality.store import run_stage
from orality.types import SamplingOptions, Units

Record = dict[str, Any]
_UNITS = pa.list_(pa.int64())
SAMPLES = pa.schema(
    [
        ("id", pa.string()),
        ("prompt_id", pa.string()),
        ("units", _UNITS),
        ("log_prob", pa.float64()),  # nats
        ("finished", pa.bool_()),
        ("audio", pa.string()),  # relative to the evaluation's folder; null without a vocoder
        ("seconds", pa.float64()),
        ("text", pa.string()),  # null without a transcriber
        ("auto_bleu", pa.float64()),  # of the text, or of the units where there is none
        ("score", pa.float64()),
        ("perplexity", pa.float64()),
        ("rationale", pa.string()),
        ("metrics", pa.string()),  # JSON: whatever else the judge measured
    ]
)


@dataclass(frozen=True, slots=True, eq=False)
class EvaluationPrompt:
    """Held-out speech to continue: its units and the true text of what it says.

    `audio`: the prompt's recording, which only a judge that listens needs.
    """

    id: str
    units: Units
    text: str
    audio: Path | None = None
    language: str = "en"

    @property
    def record(self) -> Record:
        """As the stages of a round read prompts."""
        return {
            "id": self.id,
            "units": self.units.ids.tolist(),
            "language": self.language,
            "prompt_text": self.text,
            "prompt_audio": None if self.audio is None else self.audio.resolve(),
        }


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SamplingSetup:
    """How prompts are continued and judged: the same for every system, seeds included."""

    vocoder: Vocoder | None
    transcriber: Transcriber | None
    judge: ConfiguredJudge
    transcriber_name: str = "transcriber"
    samples_per_prompt: int = 1
    max_new_units: int = 250
    sampling: SamplingOptions = field(default_factory=SamplingOptions)
    seed: int = 0

    @property
    def names(self) -> Names:
        """The models that metrics of continuations carry in their ids."""
        return Names(self.judge.name, None if self.transcriber is None else self.transcriber_name)

    def check(self, prompts: Sequence[EvaluationPrompt]) -> None:
        """Raise EvaluationError, before any work, for what could not work."""
        problems = []
        if "text" in self.judge.reads and self.transcriber is None:
            problems.append("the judge reads text, which needs a transcriber")
        if self.vocoder is None and (self.transcriber is not None or "audio" in self.judge.reads):
            problems.append("what is transcribed or listened to needs a vocoder")
        if self.samples_per_prompt < 1 or self.max_new_units < 1:
            problems.append("at least one sample of one unit must be drawn per prompt")
        if len({prompt.id for prompt in prompts}) < len(prompts):
            problems.append("two prompts share an id")
        mute = [prompt.id for prompt in prompts if prompt.audio is None]
        if "audio" in self.judge.reads and mute:
            problems.append(f"the judge listens, but prompts {', '.join(mute[:3])} have no audio")
        empty = [prompt.id for prompt in prompts if len(prompt.units) == 0]
        if empty:
            problems.append(f"prompts {', '.join(empty[:3])} have no units")
        if problems:
            raise EvaluationError("; ".join(problems))

    def settings(self, prompts: Sequence[EvaluationPrompt]) -> dict[str, Any]:
        """What samples depend on beside the system; other settings in one folder are refused."""
        return {
            "judge": self.judge.name,
            "transcriber": None if self.transcriber is None else self.transcriber_name,
            "samples_per_prompt": self.samples_per_prompt,
            "max_new_units": self.max_new_units,
            "sampling": asdict(self.sampling),
            "seed": self.seed,
            "prompts": _digest(prompts),
        }


def continue_prompts(
    slm: Callable[[], SpeechLM],
    prompts: Sequence[EvaluationPrompt],
    setup: SamplingSetup,
    *,
    out: Path,
    system: str,
    settings: Mapping[str, Any],
    batch_size: int = 8,
    progress: Progress = silent,
) -> list[Record]:
    """Records of all samples, ordered by id, stored in `out`/`system`/samples with their audio.

    Shards appear whole, and only prompts without one are continued; the model is built only if
    there are any. `settings` name what the system is; others in the same folder are refused.
    """
    folder = out / system / "samples"
    Journal(folder / "settings.jsonl", {**settings, **setup.settings(prompts)})
    rows = {prompt.id: prompt.record for prompt in prompts}
    return run_stage(
        folder,
        [{"id": prompt.id} for prompt in prompts],
        lambda batch: _continue(slm(), [rows[row["id"]] for row in batch], setup, out, system),
        schema=SAMPLES,
        source="prompt_id",
        batch_size=batch_size,
        progress=progress,
        name=f"{system}: continuations",
    )


def _continue(
    slm: SpeechLM, prompts: Sequence[Record], setup: SamplingSetup, out: Path, system: str
) -> list[Record]:
    drawn = stages.sample(
        slm,
        prompts,
        samples_per_prompt=setup.samples_per_prompt,
        max_new_units=setup.max_new_units,
        sampling=setup.sampling,
        seed=setup.seed,
        name="evaluation",  # not the system's: all systems draw with the same seeds
    )
    speech: dict[str, Record] = {}
    if setup.vocoder is not None:
        spoken = stages.synthesize(setup.vocoder, drawn, out, f"{system}/samples/audio")
        speech = {row["id"]: row for row in spoken}
    texts: dict[str, Record] = {}
    if setup.transcriber is not None:
        written = stages.transcribe(setup.transcriber, drawn, speech, out)
        texts = {row["id"]: row for row in written}
    verdicts = stages.judge(
        setup.judge, drawn, {row["id"]: row for row in prompts}, speech, texts, out
    )
    records = []
    for row, verdict in zip(drawn, verdicts, strict=True):
        text = texts.get(row["id"], {}).get("text")
        records.append(
            {name: row.get(name) for name in SAMPLES.names}
            | {
                "audio": speech.get(row["id"], {}).get("audio"),
                "seconds": speech.get(row["id"], {}).get("seconds"),
                "text": text,
                "auto_bleu": auto_bleu(row["units"] if text is None else text),
                "score": verdict["score"],
                "perplexity": perplexity_of(verdict["metrics"]),
                "rationale": verdict["rationale"],
                "metrics": verdict["metrics"],
            }
        )
    return records


def _digest(prompts: Sequence[EvaluationPrompt]) -> str:
    rows = sorted([p.id, p.text, np.asarray(p.units.ids).tolist()] for p in prompts)
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()
