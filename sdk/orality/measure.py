"""Every system of a run, measured on what was held out."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from orality.evaluation import (
    EvaluationPrompt,
    SystemInfo,
    evaluate_systems,
    find_benchmark,
    further_judges,
)
from orality.feedback import Prompts
from orality.rounds import max_new_units
from orality.session import Session, units_of
from orality.store import atomic_write
from orality.systems import PRETRAINED
from orality.tracked_figures import result_figures


def measure_systems(session: Session, prompts: Prompts) -> dict[str, Any]:
    """Measure every system on what was held out; stores `results.json` and the table."""

    recipe, options, parts = session.recipe, session.recipe.evaluation, session.components
    held_out = sorted(prompts.records("test"), key=lambda record: str(record["id"]))
    systems = session.systems()
    judge, transcriber = (
        options.judge or recipe.judge,
        options.transcriber or recipe.transcriber,
    )
    spec = session.registry.find("judge", judge.name).spec
    heard = None
    if transcriber is not None:
        heard = recipe.configured("transcriber", transcriber, session.registry)
    written = recipe.written_language(heard)
    folder = session.run.path / "evaluation"
    results = evaluate_systems(
        systems={name: partial(session.policy, adapters) for name, adapters in systems.items()},
        info={
            name: SystemInfo(
                adapter=", ".join(str(a.relative_to(session.run.path)) for a in adapters) or None,
                fingerprint=_digest(adapters),
            )
            for name, adapters in systems.items()
        },
        tokenizer=parts.tokenizer,
        vocoder=parts.vocoder if held_out else None,
        transcriber=parts.evaluation_transcriber if held_out else None,
        judge=parts.evaluation_judge if held_out else None,
        judge_name=judge.name,
        transcriber_name=transcriber.name if transcriber else "none",
        reads=spec.reads,  # type: ignore[attr-defined]
        scale=spec.scale,  # type: ignore[attr-defined]
        benchmarks={
            name: find_benchmark(where, name=name) for name, where in options.benchmarks.items()
        },
        prompts=[
            EvaluationPrompt(
                record["id"],
                units_of(record["units"]),
                record["prompt_text"] or "",
                audio=session.run.path / record["prompt_audio"],
                language=written,
            )
            for record in held_out
        ],
        samples_per_prompt=options.samples_per_prompt,
        max_new_units=max_new_units(session, prompts),
        sampling=recipe.evaluation_sampling,
        temperatures=options.temperatures,
        frontier=options.frontier,
        seed=recipe.seed,
        convention=options.convention,
        normalize=options.normalize,
        limit=options.limit,
        metrics=options.metrics,
        resynthesis=options.resynthesis and bool(held_out),
        further_judges=further_judges(recipe, session.registry, parts.further_judge),
        baseline=PRETRAINED,
        out=folder,
        recipe=recipe.name,
        progress=session.progress,
    )
    for name in ("results.json", "table.md"):
        data = (folder / name).read_bytes()
        atomic_write(session.run.path / name, partial(_write, data=data))
    with session.tracked("evaluation").opened(-1) as log:
        for step, figures in enumerate(result_figures(results)):
            log(figures, step)
    return results.to_dict()


def _write(file: BinaryIO, data: bytes) -> None:
    file.write(data)


def _digest(adapters: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for adapter in adapters:
        digest.update((adapter / "adapter_model.safetensors").read_bytes())
    return digest.hexdigest()
