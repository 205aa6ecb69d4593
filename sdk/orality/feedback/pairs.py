"""One round of feedback: every stage kept, so that thresholds can change without sampling again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from orality.feedback import schemas, stages
from orality.feedback.select import candidate_of, select_pair, select_pair_by_perplexity
from orality.progress import Progress, silent
from orality.protocols import Judge, SpeechLM, Transcriber, Vocoder
from orality.store import read_records, run_stage
from orality.types import PreferencePair, SamplingOptions, Units

Record = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairOptions:
    """How one round makes pairs.

    `by`: `score` (equation 2) or `perplexity` (equation 1). `reference`: fingerprint of the policy
    that samples; it is stored with the log-probabilities that the sampler recorded. `judge_batch`:
    how many requests the judge is given at a time.
    """

    samples_per_prompt: int
    sampling: SamplingOptions
    max_seconds: float
    rejected: float
    chosen: float
    max_auto_bleu: float
    seed: int
    reference: str
    reads: frozenset[str]
    judge_name: str
    scale: tuple[float, float]
    by: str = "score"
    judge_batch: int = 20


def make_pairs(
    prompts: Sequence[Record],
    *,
    run: Path,
    name: str,
    slm: Callable[[], SpeechLM],
    vocoder: Callable[[], Vocoder] | None,
    transcriber: Callable[[], Transcriber] | None,
    judge: Callable[[], Judge],
    options: PairOptions,
    progress: Progress = silent,
) -> list[Record]:
    """Pairs of a round, ordered by id; all stages are stored under `run`/`name`.

    `prompts`: records of the stage `prompts`. Components are given as functions, called only when
    there is work left for them.
    """
    folder = run / name
    by_id = {record["id"]: record for record in prompts}
    longest = stages.max_new_units(prompts, options.max_seconds)
    continuations = run_stage(
        folder / "continuations",
        prompts,
        lambda batch: stages.sample(
            slm(),
            batch,
            samples_per_prompt=options.samples_per_prompt,
            max_new_units=longest,
            sampling=options.sampling,
            seed=options.seed,
            name=name,
        ),
        schema=schemas.CONTINUATIONS,
        source="prompt_id",
        batch_size=8,
        progress=progress,
        name=f"{name}: sample",
    )
    speech: dict[str, Record] = {}
    if {"text", "audio"} & options.reads and vocoder is not None:
        rows = run_stage(
            folder / "speech",
            continuations,
            lambda batch: stages.synthesize(vocoder(), batch, run, name),
            schema=schemas.SPEECH,
            batch_size=20,
            progress=progress,
            name=f"{name}: synthesize",
        )
        speech = {row["id"]: row for row in rows}
    transcripts: dict[str, Record] = {}
    if "text" in options.reads and transcriber is not None:
        rows = run_stage(
            folder / "transcripts",
            continuations,
            lambda batch: stages.transcribe(transcriber(), batch, speech, run),
            schema=schemas.TRANSCRIPTS,
            batch_size=20,
            progress=progress,
            name=f"{name}: transcribe",
        )
        transcripts = {row["id"]: row for row in rows}
    verdicts = run_stage(
        folder / "verdicts",
        continuations,
        lambda batch: stages.judge(
            judge(),
            batch,
            by_id,
            speech,
            transcripts,
            run,
            reads=options.reads,
            judge_name=options.judge_name,
            scale=options.scale,
        ),
        schema=schemas.VERDICTS,
        batch_size=options.judge_batch,
        progress=progress,
        name=f"{name}: judge",
    )
    return select_pairs(
        prompts,
        continuations,
        transcripts,
        {row["id"]: row for row in verdicts},
        folder=folder / "pairs",
        options=options,
    )


def select_pairs(
    prompts: Sequence[Record],
    continuations: Sequence[Record],
    transcripts: dict[str, Record],
    verdicts: dict[str, Record],
    *,
    folder: Path,
    options: PairOptions,
) -> list[Record]:
    """Apply the thresholds to what was judged and store the pairs; a prompt may give none."""
    drawn: dict[str, list[Record]] = {}
    for row in continuations:
        if row["units"]:
            drawn.setdefault(row["prompt_id"], []).append(row)
    made: list[Record] = []
    for prompt in prompts:
        rows = {row["id"]: row for row in drawn.get(prompt["id"], [])}
        candidates = [candidate_of(verdicts[key], transcripts.get(key)) for key in sorted(rows)]
        seed = stages.seed_of(options.seed, "select", prompt["id"])
        if options.by == "perplexity":
            pair = select_pair_by_perplexity(
                candidates, max_auto_bleu=options.max_auto_bleu, seed=seed
            )
        else:
            pair = select_pair(
                candidates,
                rejected=options.rejected,
                chosen=options.chosen,
                max_auto_bleu=options.max_auto_bleu,
                seed=seed,
            )
        if pair is None:
            continue
        chosen, rejected = rows[pair[0].id], rows[pair[1].id]
        made.append(
            {
                "id": prompt["id"],
                "prompt_id": prompt["id"],
                "split": prompt["split"],
                "prompt_units": prompt["units"],
                "chosen_id": chosen["id"],
                "rejected_id": rejected["id"],
                "chosen_units": chosen["units"],
                "rejected_units": rejected["units"],
                "chosen_score": pair[0].score,
                "rejected_score": pair[1].score,
                "chosen_auto_bleu": pair[0].auto_bleu,
                "rejected_auto_bleu": pair[1].auto_bleu,
                "reference": options.reference,
                "reference_chosen": chosen["log_prob"],
                "reference_rejected": rejected["log_prob"],
            }
        )
    if not made:
        return []
    return run_stage(
        folder,
        [{"id": row["id"]} for row in made],
        lambda batch: [row for row in made if row["id"] in {item["id"] for item in batch}],
        schema=schemas.PAIRS,
        batch_size=4096,
    )


def read_pairs(folder: Path, split: str | None = None) -> list[PreferencePair]:
    """Stored pairs as typed values; `split` picks train or dev."""
    return [to_pair(row) for row in read_records(folder) if split in (None, row["split"])]


def to_pair(row: Record) -> PreferencePair:
    """A record of the stage `pairs` as a typed value."""

    def units(name: str) -> Units:
        return Units(np.asarray(row[name], dtype=np.int64))

    return PreferencePair(
        id=row["id"],
        prompt_id=row["prompt_id"],
        prompt=units("prompt_units"),
        chosen=units("chosen_units"),
        rejected=units("rejected_units"),
        chosen_score=row["chosen_score"],
        rejected_score=row["rejected_score"],
        reference=row["reference"],
        reference_chosen=row["reference_chosen"],
        reference_rejected=row["reference_rejected"],
        metadata={
            name: row[name]
            for name in ("chosen_id", "rejected_id", "chosen_auto_bleu", "rejected_auto_bleu")
        },
    )
