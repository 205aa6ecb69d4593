"""The prompts of a corpus: as many usable recordings of each split as asked for."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from orality.corpus import Utterance
from orality.errors import CorpusError
from orality.feedback.cutting import Cutting
from orality.feedback.schemas import PROMPTS
from orality.progress import Progress, silent
from orality.protocols import SpeechTokenizer, Transcriber
from orality.store import run_stage

logger = logging.getLogger(__name__)

Record = dict[str, Any]


def make_prompts(
    utterances: Sequence[Utterance],
    *,
    run: Path,
    tokenizer: SpeechTokenizer,
    transcriber: Callable[[], Transcriber] | None,
    limits: dict[str, int | None],
    min_seconds: float,
    prompt_seconds: float,
    fixed_cut: bool,
    max_failures: float,
    seed: int,
    progress: Progress = silent,
) -> list[Record]:
    """The usable prompts of a corpus, ordered by id, stored in `run`/prompts.

    `limits`: how many prompts of each split at most, drawn in an order fixed by `seed`. Where the
    corpus carries no words, the cut is made at a pause and the transcriber (built only then) writes
    the prompt down. Recordings that are broken or too short are stored with the reason. Raises
    CorpusError when nothing is usable or more than `max_failures` of the files cannot be read.
    """
    stage = Cutting(run, tokenizer, transcriber, min_seconds, prompt_seconds, fixed_cut)
    records: list[Record] = []
    for split in ("train", "dev", "test"):
        candidates = [item for item in utterances if item.split == split]
        random.Random(f"{seed}/{split}").shuffle(candidates)
        limit = limits.get(split)
        limit = len(candidates) if limit is None else limit
        taken = 0
        while taken < len(candidates) and sum(_usable(r, split) for r in records) < limit:
            lacking = limit - sum(_usable(record, split) for record in records)
            batch = candidates[taken : taken + lacking]
            taken += len(batch)
            by_id = {item.id: item for item in batch}
            records += run_stage(
                run / "prompts",
                [{"id": item.id} for item in batch],
                lambda rows, by_id=by_id: stage([by_id[row["id"]] for row in rows]),  # type: ignore[misc]
                schema=PROMPTS,
                batch_size=16,
                progress=progress,
                name=f"prompts ({split})",
            )
    _report_failures(records, max_failures)
    usable = [record for record in records if record["skipped"] is None]
    if not usable:
        reasons = sorted({str(record["skipped"]) for record in records})
        raise CorpusError(
            f"none of the {len(records)} recordings can serve as a prompt: {'; '.join(reasons[:3])}"
        )
    return sorted(usable, key=lambda record: str(record["id"]))


def _usable(record: Record, split: str) -> bool:
    return record["split"] == split and record["skipped"] is None


def _report_failures(records: Sequence[Record], max_failures: float) -> None:
    broken = [record for record in records if record["unreadable"]]
    for record in broken:
        logger.warning("skipped: %s", record["skipped"])
    short = sum(record["skipped"] is not None for record in records) - len(broken)
    if broken or short:
        logger.warning(
            "%d of %d recordings are unreadable, %d more unsuitable as prompts",
            len(broken),
            len(records),
            short,
        )
    if len(broken) > max(1.0, max_failures * len(records)):
        raise CorpusError(
            f"{len(broken)} of {len(records)} recordings cannot be read, more than "
            f"corpus.max_failures = {max_failures:g} allows; the first: {broken[0]['skipped']}"
        )
