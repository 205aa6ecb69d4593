"""The key of a listening test: what the page's random names stand for. Never given to raters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from orality.errors import EvaluationError
from orality.listening.design import Design, Kind
from orality.store.files import write_json
from orality.untrusted.settings import Settings

FILE = "key.json"
TIE = "tie"


class KeySample(Settings):
    """A continuation in a trial."""

    clip: str
    sample: str
    system: str
    score: float | None = None


class KeyTrial(Settings):
    """A trial; in a `check` the clip `backwards` must be rated low, or lose.

    `clips`: the continuations in the order of the design, in which webMUSHRA plays them.
    """

    prompt: str
    clips: tuple[str, ...]
    samples: tuple[KeySample, ...]
    backwards: str | None = None

    @property
    def check(self) -> bool:
        """Whether the trial is an attention check."""
        return self.backwards is not None


class Key(Settings):
    """All trials by name; `test` is the test's own name, which every answer repeats."""

    version: int = 1
    test: str
    kind: Kind
    scale: str
    systems: tuple[str, ...]
    trials: dict[str, KeyTrial]
    sets: tuple[tuple[str, ...], ...]
    judge: str | None = None
    seed: int
    run: str = ""


def key_of(
    design: Design, *, test: str, scale: str, systems: Sequence[str], seed: int, **more: Any
) -> Key:
    """The key of a design."""
    trials = {}
    for trial in design.trials:
        samples = tuple(
            KeySample(clip=clip, sample=sample.id, system=sample.system, score=sample.score)
            for clip, sample in zip(trial.clips[1:], trial.samples, strict=True)
            if clip != trial.backwards
        )
        prompt = trial.samples[0].prompt_id
        trials[trial.id] = KeyTrial(
            prompt=prompt, clips=tuple(trial.clips[1:]), samples=samples, backwards=trial.backwards
        )
    sets = tuple(tuple(ids) for ids in design.sets)
    return Key(
        test=test, kind=design.kind, scale=scale, systems=tuple(systems), trials=trials, sets=sets,
        seed=seed, **more,
    )  # fmt: skip


def write_key(folder: Path, key: Key) -> Path:
    """Write `key.json` and return its path."""
    data: Mapping[str, Any] = key.model_dump(mode="json")
    write_json(folder / FILE, dict(data))
    return folder / FILE


def read_key(folder: Path) -> Key:
    """Read a test's key; EvaluationError if there is none or it is damaged."""
    path = folder / FILE
    try:
        return Key.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        raise EvaluationError(
            f"{path} cannot be read as the key of a listening test: {error}"
        ) from error
