"""What stands for each stretch of speech when golden and synthetic speech are compared."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from orality.errors import StoreError
from orality.report.data.stored_units import GOLDEN, stretches
from orality.report.speech_gap.unit_counts import unit_count_vectors
from orality.store import atomic_write

FILE = "representations.npz"


@dataclass(frozen=True, slots=True)
class Representations:
    """Vectors (n, d), each with its system (`golden` for recordings) and prompt."""

    kind: str
    vectors: NDArray[np.float64]
    systems: Sequence[str]
    prompts: Sequence[str]

    def of(self, system: str) -> tuple[NDArray[np.float64], list[str]]:
        """A system's vectors and their prompts."""
        rows = [number for number, name in enumerate(self.systems) if name == system]
        return self.vectors[rows], [self.prompts[number] for number in rows]


def store_representations(run: Path, given: Representations) -> Path:
    """Keep representations of one's own (mean hidden states, say) in a run, for its report.

    Raises StoreError where counts differ, a value is not finite, or nothing is `golden`.
    """
    _check(given, str(run))
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer, kind=np.array(given.kind), vectors=given.vectors.astype(np.float32),
        systems=np.array(given.systems, dtype=str), prompts=np.array(given.prompts, dtype=str),
    )  # fmt: skip
    path = Path(run) / FILE
    atomic_write(path, lambda file: file.write(buffer.getvalue()))
    return path


def read_representations(run: Path) -> Representations | None:
    """What is stored for a run, else counts of its stored units; None where it has neither."""
    path = run / FILE
    return _stored(path) if path.is_file() else _counted(run)


def _stored(path: Path) -> Representations:
    try:
        with np.load(path, allow_pickle=False) as data:
            found = Representations(
                str(data["kind"]),
                data["vectors"].astype(np.float64),
                [str(name) for name in data["systems"]],
                [str(name) for name in data["prompts"]],
            )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise StoreError(
            f"{path} cannot be read as representations ({error}); delete it, and counts of units "
            "are compared instead"
        ) from error
    _check(found, str(path))
    return found


def _check(found: Representations, where: str) -> None:
    counts = {len(found.vectors), len(found.systems), len(found.prompts)}
    if found.vectors.ndim != 2 or len(counts) != 1:
        raise StoreError(
            f"{where}: representations of shape {found.vectors.shape} with {len(found.systems)} "
            f"systems and {len(found.prompts)} prompts; wanted one of each for every row"
        )
    if not np.isfinite(found.vectors).all():
        raise StoreError(f"{where}: a representation holds values that are not finite")
    if GOLDEN not in found.systems:
        raise StoreError(f"{where}: no representation has the system {GOLDEN!r}")


def _counted(run: Path) -> Representations | None:
    found = stretches(run)
    if not found:
        return None
    return Representations(
        "counts of units",
        unit_count_vectors([stretch.units for stretch in found]),
        [stretch.system for stretch in found],
        [stretch.prompt for stretch in found],
    )
