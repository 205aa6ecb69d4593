"""Every system of a run, measured on what was held out."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from orality.evaluation import (
    EvaluationPrompt,
    SamplingSetup,
    SystemInfo,
    evaluate_systems,
    find_benchmark,
    further_judges,
)
from orality.feedback import Prompts
from orality.run.prompts import max_new_units
from orality.run.session import Session
from orality.run.tracked_metrics import result_figures
from orality.store import atomic_write
from orality.store.systems import PRETRAINED
from orality.types import Units


def measure_systems(session: Session, prompts: Prompts) -> dict[str, Any]:
    """Measure every system on what was held out; stores `results.json` and the table."""

    recipe, options, parts = session.recipe, session.recipe.evaluation, session.components
    held_out = sorted(prompts.records("test"), key=lambda record: str(record["id"]))
    systems = session.systems()
    resolved = session.resolved
    transcriber = resolved.evaluation_transcriber
    written = resolved.written_language(transcriber)
    setup = (
        SamplingSetup(
            vocoder=parts.vocoder,
            transcriber=parts.evaluation_transcriber,
            judge=parts.judge(resolved.evaluation_judge),
            transcriber_name=transcriber.name if transcriber else "none",
            samples_per_prompt=options.samples_per_prompt,
            max_new_units=max_new_units(session, prompts),
            sampling=recipe.evaluation_sampling,
            seed=recipe.seed,
        )
        if held_out
        else None
    )
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
        setup=setup,
        benchmarks={
            name: find_benchmark(where, name=name) for name, where in options.benchmarks.items()
        },
        prompts=[
            EvaluationPrompt(
                record["id"],
                Units.of(record["units"]),
                record["prompt_text"] or "",
                audio=session.run.path / record["prompt_audio"],
                language=written,
            )
            for record in held_out
        ],
        temperatures=options.temperatures,
        frontier=options.frontier,
        seed=recipe.seed,
        convention=options.convention,
        normalize=options.normalize,
        limit=options.limit,
        metrics=options.metrics,
        resynthesis=options.resynthesis and bool(held_out),
        further_judges=further_judges(resolved, parts.get),
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
