"""Benchmark recordings as units, encoded once for all systems and all later evaluations."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from orality.audio import read_audio
from orality.errors import AudioError, OralityError
from orality.evaluation.contents import content_of, is_unchanged
from orality.evaluation.journal import Journal, Row
from orality.progress import Progress, silent
from orality.protocols import SpeechTokenizer
from orality.types import Units, UnitSpec, Waveform

logger = logging.getLogger(__name__)

Encoded = Units | str
"""A recording's units, or why there are none."""


def units_of_files(
    paths: Sequence[Path],
    tokenizer: SpeechTokenizer,
    *,
    cache: Path,
    batch_size: int = 16,
    progress: Progress = silent,
) -> dict[Path, Encoded]:
    """Encode recordings, reading from and adding to the JSONL file `cache`.

    The cache belongs to one tokenizer (EvaluationError otherwise); an entry counts while the
    file's content is the same, see `is_unchanged`. A recording that cannot be read or encoded maps
    to the reason, is not cached, and is tried again the next time.
    """
    journal = Journal(cache, {"units": spec_name(tokenizer.unit_spec)})
    wanted = sorted(set(paths))
    found: dict[Path, Encoded] = {}
    todo = []
    for path in wanted:
        row = journal.rows.get(str(path.resolve()))
        if row is not None and _counts(row, path, journal):
            found[path] = _decode(row)
        else:
            todo.append(path)
    progress("units", len(found), len(wanted))
    for start in range(0, len(todo), batch_size):
        batch = _encode(todo[start : start + batch_size], tokenizer)
        journal.append(_row(p, units) for p, units in batch.items() if isinstance(units, Units))
        for path, units in batch.items():
            if isinstance(units, str):
                logger.warning("%s is left out: %s", path, units)
        found |= batch
        progress("units", len(found), len(wanted))
    return found


def spec_name(spec: UnitSpec) -> str:
    """A unit spec as one string: two tokenizers with the same one give the same units."""
    kept = "deduplicated" if spec.deduplicated else "with repeats"
    size = f"{spec.num_codebooks}x{spec.vocab_size}"
    return f"{spec.codebook} {size} {spec.frame_rate:g} Hz {kept} {spec.fingerprint or 'unnamed'}"


def _encode(paths: Sequence[Path], tokenizer: SpeechTokenizer) -> dict[Path, Encoded]:
    results: dict[Path, Encoded] = {}
    waveforms: dict[Path, Waveform] = {}
    for path in paths:
        try:
            waveforms[path] = read_audio(path, sample_rate=tokenizer.sample_rate)
        except AudioError as error:
            results[path] = str(error)
    try:
        encoded = tokenizer.encode(list(waveforms.values()))
        return results | dict(zip(waveforms, encoded, strict=True))
    except OralityError:
        # One bad recording must not cost the others: find it.
        for path, waveform in waveforms.items():
            try:
                (results[path],) = tokenizer.encode([waveform])
            except OralityError as error:
                results[path] = str(error)
        return results


def _row(path: Path, units: Units) -> Row:
    return {
        "id": str(path.resolve()),
        **content_of(path),
        "units": units.ids.tolist(),
        "durations": None if units.durations is None else units.durations.tolist(),
    }


def _counts(row: Row, path: Path, journal: Journal) -> bool:
    before = row.get("stamp")
    unchanged = is_unchanged(row, path)
    if unchanged and row["stamp"] != before:
        journal.append([row])  # so that it is hashed once
    return unchanged


def _decode(row: Row) -> Units:
    durations = row["durations"]
    return Units(
        np.asarray(row["units"], dtype=np.int64),
        None if durations is None else np.asarray(durations, dtype=np.int64),
    )
