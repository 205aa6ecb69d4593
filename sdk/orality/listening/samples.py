"""What can be listened to: samples of a run's evaluation, or of a folder of recordings."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orality.errors import EvaluationError
from orality.evaluation.benchmarks.pairs import audio_index
from orality.report.data.run_data import read_run


@dataclass(frozen=True, slots=True)
class Sample:
    """A continuation of a prompt by a system; `score` is the judge's, where it gave one."""

    id: str
    prompt_id: str
    system: str
    prompt_audio: Path
    audio: Path
    score: float | None = None


def samples_of_run(run: Path) -> list[Sample]:
    """Every sample of a run's evaluation, systems in the order of the results.

    EvaluationError when the run holds none, or one lacks its recording or its prompt's.
    """
    data = read_run(run)
    known = [system.name for system in data.results.systems] if data.results else []
    samples = []
    for item in data.samples:
        prompt = data.prompts.get(item.prompt_id)
        prompt_audio = prompt.audio if prompt else None
        for what, path in (("", item.audio), ("the prompt of ", prompt_audio)):
            if path is None or not path.is_file():
                raise EvaluationError(
                    f"{run}: {what}sample {item.id} has no recording {path or ''}"
                )
        assert prompt_audio is not None
        assert item.audio is not None
        samples.append(
            Sample(item.id, item.prompt_id, item.system, prompt_audio, item.audio, item.score)
        )
    if not samples:
        raise EvaluationError(
            f"{run} holds no spoken continuations of an evaluation; a listening test needs some: "
            "evaluate on prompts, with a vocoder"
        )
    place = {name: index for index, name in enumerate(known)}
    return sorted(samples, key=lambda s: (place.get(s.system, len(place)), s.system, s.id))


def samples_of_folder(system: str, folder: Path, others: Sequence[Sample]) -> list[Sample]:
    """A further system: recordings named by prompt id, for the prompts that `others` continue.

    For the true continuation of a recording, or a system that was run elsewhere. EvaluationError
    if no recording belongs to a prompt.
    """
    prompts = {sample.prompt_id: sample.prompt_audio for sample in others}
    found = [
        Sample(f"{prompt}-{system}", prompt, system, prompts[prompt], path)
        for prompt, path in sorted(audio_index(folder).items())
        if prompt in prompts
    ]
    if not found:
        raise EvaluationError(
            f"{folder} has no recording named by a prompt's id, such as {min(prompts)}.wav"
        )
    return found


def choose_samples(
    samples: Sequence[Sample],
    *,
    systems: Sequence[str] | None = None,
    prompts: int | None = None,
    draw: random.Random,
) -> list[list[Sample]]:
    """One sample per system of `prompts` drawn prompts (all: None), by prompt.

    Only prompts that every system continues are drawn from, so that systems are compared on the
    same ones. EvaluationError for an unknown system or when there is no such prompt.
    """
    present = list(dict.fromkeys(sample.system for sample in samples))
    wanted = list(systems) if systems else present
    unknown = [name for name in wanted if name not in present]
    if unknown:
        raise EvaluationError(f"no system is called {unknown[0]!r}; there are {', '.join(present)}")
    said: dict[str, dict[str, list[Sample]]] = {}
    for sample in samples:
        said.setdefault(sample.prompt_id, {}).setdefault(sample.system, []).append(sample)
    whole = [p for p in sorted(said) if all(name in said[p] for name in wanted)]
    if not whole:
        raise EvaluationError(f"no prompt is continued by all of {', '.join(wanted)}")
    if prompts is not None and prompts < 1:
        raise EvaluationError(f"a listening test of {prompts} prompts has nothing to hear")
    draw.shuffle(whole)
    return [
        [draw.choice(sorted(said[p][name], key=lambda s: s.id)) for name in wanted]
        for p in whole[:prompts]
    ]
