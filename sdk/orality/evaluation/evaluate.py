"""All systems on all benchmarks and prompts, paired, resumable, with statistics: `results.json`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from orality.errors import EvaluationError
from orality.evaluation.aggregate import Measured, compare_systems
from orality.evaluation.benchmarks.find import BenchmarkSource, choose, describe
from orality.evaluation.benchmarks.swuggy import IN_VOCABULARY
from orality.evaluation.continuations.choices import DEFAULT, generation_metrics
from orality.evaluation.continuations.metric import GenerationMetric
from orality.evaluation.continuations.sample import EvaluationPrompt, SamplingSetup
from orality.evaluation.continuations.temperatures import (
    AtTemperature,
    check_temperatures,
    items_of,
    observe_temperatures,
)
from orality.evaluation.frontier.points import make_frontier, with_diversity
from orality.evaluation.likelihood.accuracy import Normalize
from orality.evaluation.likelihood.encoded import spec_name, units_of_files
from orality.evaluation.provenance import provenance
from orality.evaluation.results import Item, Results, System, write_items, write_results
from orality.evaluation.resynthesis import measure_resynthesis
from orality.evaluation.system import Measuring, slug
from orality.evaluation.tables.tables import write_tables
from orality.feedback import ConfiguredJudge
from orality.progress import Progress, silent
from orality.protocols import SpeechLM, SpeechTokenizer
from orality.store import Run
from orality.types import UnitSpec

FrontierSystems = Literal["baseline", "all"]
CONVENTIONS = ("no_bos", "bos_eos")


@dataclass(frozen=True, slots=True)
class SystemInfo:
    """What results say about a system; `fingerprint` names its weights.

    Where a fingerprint is given, results of other weights under the same name are refused.
    """

    description: str = ""
    adapter: str | None = None
    fingerprint: str | None = None


def evaluate_systems(
    *,
    systems: Mapping[str, Callable[[], SpeechLM]],
    tokenizer: SpeechTokenizer,
    setup: SamplingSetup | None,
    benchmarks: Mapping[str, BenchmarkSource],
    prompts: Sequence[EvaluationPrompt],
    out: Path,
    baseline: str,
    seed: int = 0,
    convention: str = "no_bos",
    normalize: Normalize = "mean",
    limit: int | None = None,
    metrics: Sequence[str | Mapping[str, Any] | GenerationMetric] = DEFAULT,
    further_judges: Mapping[str, ConfiguredJudge] | None = None,
    resynthesis: bool = False,
    temperatures: Sequence[float] = (),
    frontier: FrontierSystems = "baseline",
    info: Mapping[str, SystemInfo] | None = None,
    recipe: str = "",
    details: Mapping[str, Any] | None = None,
    progress: Progress = silent,
) -> Results:
    """Measure systems on likelihood benchmarks and on continuations of held-out prompts.

    Same pairs, prompts and seeds for every system; each is built once at most, when something is
    left to do, and let go before the next. `benchmarks`: the column's name to its source; `limit`
    pairs of each at most. `setup`: how prompts are continued and judged, None without prompts.
    `metrics` of the continuations: names, names with settings, or metrics of one's own;
    `further_judges` are those that metrics name. `seed`: of the bootstrap. With
    `resynthesis`, the prompts' recordings also go through units and back, and the settings hold the
    error rates, which are the stack's and no system's. At further `temperatures` the baseline is
    sampled, or with `frontier="all"` every system, for the results' `frontier`; that of `setup`
    is the main table's. `details` are added to the settings.

    Leaves in `out`: units.jsonl, `<system>/<metric>.jsonl`, `<system>/samples/`,
    `<system>/temperature-<t>/samples/`, items.jsonl, frontier-items.jsonl, results.json, table.md,
    table.csv, table.tex. What a killed evaluation left there is not done again; files made with
    other settings raise EvaluationError. Every system is tested against `baseline`, and every
    later one against its predecessor.
    """
    if prompts and setup is None:
        raise EvaluationError("continuations of prompts need a setup; give one, or no prompts")
    _check(systems, baseline, benchmarks, convention, normalize)
    if prompts and setup:
        setup.check(prompts)
    if resynthesis and not (prompts and setup and setup.vocoder and setup.transcriber):
        raise EvaluationError("resynthesis needs prompts, a vocoder and a transcriber")
    check_temperatures(temperatures)
    measured_by = _metrics(metrics, setup, further_judges or {}) if setup else []
    swept_by, diversities = with_diversity(measured_by, setup.names) if setup else ([], [])
    chosen = {name: choose(source.read(), limit) for name, source in benchmarks.items()}
    with Run(out).lock():
        files = [f for pairs in chosen.values() for p in pairs for f in (p.positive, p.negative)]
        encoded = units_of_files(files, tokenizer, cache=out / "units.jsonl", progress=progress)
        measured: dict[str, list[Measured]] = {}
        items: list[Item] = []
        swept: list[AtTemperature] = []
        for name, build in systems.items():
            facts = (info or {}).get(name, SystemInfo())
            model = _once(name, build, tokenizer.unit_spec)
            work = Measuring(name, out, model, facts.fingerprint, seed, progress)
            for column, pairs in chosen.items():
                source = benchmarks[column]
                settings = {
                    "units": spec_name(tokenizer.unit_spec),
                    "convention": convention,
                    "source": source.label or str(source.path),
                    "split": source.split,
                }
                work.likelihood(column, source.kind, pairs, encoded, settings, normalize)
            if prompts and setup:
                spoken = work.generation(prompts, setup, measured_by)
                if temperatures:
                    also = temperatures if frontier == "all" or name == baseline else ()
                    swept += observe_temperatures(work, spoken, prompts, setup, swept_by, also)
            measured[name] = work.measured
            items += work.items
        results = Results(
            systems=[_record(name, info) for name in systems],
            results=[m.metric for found in measured.values() for m in found],
            comparisons=compare_systems(
                measured, baseline, groups=(None, IN_VOCABULARY), seed=seed
            ),
            settings={
                "baseline": baseline,
                "seed": seed,
                "convention": convention,
                "normalize": normalize,
                "limit": limit,
                "units": spec_name(tokenizer.unit_spec),
                "benchmarks": {
                    name: describe(source, chosen[name], encoded)
                    for name, source in benchmarks.items()
                },
                "prompts": len(prompts),
                "continuations": setup.settings(prompts) if prompts and setup else None,
                "metrics": [metric.id for metric in measured_by] if prompts else [],
                "resynthesis": _resynthesis(prompts, setup, tokenizer, out)
                if resynthesis and setup
                else None,
                "temperatures": list(temperatures) if prompts else [],
                **(details or {}),
            },
            recipe=recipe,
            provenance=provenance(),
            frontier=make_frontier(
                swept,
                {metric.id: metric.summary for metric in swept_by},
                [metric.id for metric in diversities],
                baseline=baseline,
                temperature=setup.sampling.temperature,
                seed=seed,
            )
            if swept and setup
            else None,
        )
        write_items(out / "items.jsonl", items)
        if swept:
            write_items(out / "frontier-items.jsonl", items_of(swept))
        write_results(out / "results.json", results)
        write_tables(out, results)
    return results


def _metrics(
    chosen: Sequence[str | Mapping[str, Any] | GenerationMetric],
    setup: SamplingSetup,
    further: Mapping[str, ConfiguredJudge],
) -> list[GenerationMetric]:
    named = [entry for entry in chosen if not isinstance(entry, GenerationMetric)]
    made = iter(
        generation_metrics(
            named,
            judge=setup.names.judge,
            transcriber=setup.names.transcriber,
            spoken=setup.vocoder is not None,
            further_judges=further,
        )
    )
    found = [e if isinstance(e, GenerationMetric) else next(made) for e in chosen]
    if len({metric.id for metric in found}) < len(found):
        raise EvaluationError("two metrics have the same id, and would share a column")
    return found


def _resynthesis(
    prompts: Sequence[EvaluationPrompt], setup: SamplingSetup, tokenizer: SpeechTokenizer, out: Path
) -> dict[str, Any]:
    assert setup.vocoder is not None
    assert setup.transcriber is not None
    return measure_resynthesis(
        {prompt.id: prompt.audio for prompt in prompts},
        tokenizer=tokenizer,
        vocoder=setup.vocoder,
        transcriber=setup.transcriber,
        transcriber_name=setup.transcriber_name,
        path=out / "resynthesis.jsonl",
    )


def _check(
    systems: Mapping[str, object],
    baseline: str,
    benchmarks: Mapping[str, object],
    convention: str,
    normalize: str,
) -> None:
    if baseline not in systems:
        raise EvaluationError(
            f"the baseline {baseline!r} is none of the systems {', '.join(systems) or '(none)'}"
        )
    for name in systems:
        if not re.fullmatch(r"\w[\w .+-]*", name) or name != name.strip():
            raise EvaluationError(f"a system's name becomes a folder's, which {name!r} cannot")
    slugs = [slug(name) for name in benchmarks]
    if len(set(slugs)) < len(slugs) or not all(slugs):
        raise EvaluationError(f"benchmarks need different names, got {', '.join(benchmarks)}")
    if convention not in CONVENTIONS:
        raise EvaluationError(
            f"the convention is one of {', '.join(CONVENTIONS)}, got {convention!r}"
        )
    if normalize not in get_args(Normalize):
        raise EvaluationError(f"normalize is one of mean, sum, got {normalize!r}")


def _record(name: str, info: Mapping[str, SystemInfo] | None) -> System:
    facts = (info or {}).get(name, SystemInfo())
    weights = facts.fingerprint if facts.adapter else None  # no adapter, nothing to name
    return System(name, facts.description, facts.adapter, weights)


def _once(name: str, build: Callable[[], SpeechLM], units: UnitSpec) -> Callable[[], SpeechLM]:
    kept: list[SpeechLM] = []

    def get() -> SpeechLM:
        if not kept:
            slm = build()
            if (slm.unit_spec.codebook, slm.unit_spec.vocab_size) != (
                units.codebook,
                units.vocab_size,
            ):
                raise EvaluationError(
                    f"the tokenizer gives {spec_name(units)}, but system {name!r} models "
                    f"{spec_name(slm.unit_spec)}"
                )
            kept.append(slm)
        return kept[0]

    return get
