"""The stages of a run opened for a recipe: cutting prompts, and a round of feedback."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from orality.feedback import CutRule, Prompts, Round, Selection
from orality.feedback.cutting import Cutting
from orality.protocols import SpeechLM
from orality.run.components import Components
from orality.text.languages import is_same


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundSpec:
    """A round of feedback. `adapters`: of the rounds before, relative to the run folder.

    `counts`: how many prompts each shard holds; `max_new_units`: the longest continuation;
    `selection` None: pairs are selected afterwards, from all verdicts.
    """

    name: str
    adapters: tuple[str, ...]
    counts: Mapping[str, int]
    max_new_units: int
    selection: Selection | None


def open_cutting(components: Components, run: Path) -> Cutting:
    """How the recipe cuts its corpus into prompts, which are stored in the run folder."""
    resolved = components.resolved
    recipe, options = resolved.recipe, resolved.recipe.corpus
    reads_text = any("text" in judge.spec.reads for judge in resolved.judges.values())
    # A transcriber that no judge needs is used only where the recipe asks for it.
    hears = resolved.first("corpus.transcriber", "transcriber")
    wanted = reads_text or options.transcriber is not None or options.cut in ("aligned", "asr")
    written = resolved.written_language(resolved.first("transcriber"))
    return Cutting(
        run,
        components.tokenizer,
        components.builder(resolved.first("transcriber")) if reads_text else None,
        options.min_seconds,
        options.prompt_seconds,
        CutRule(
            "fixed" if options.fixed_cut else options.cut,
            components.builder(hears) if wanted else None,
            spoken_text=is_same(written, recipe.language),
        ),
        recipe.language if options.other_languages == "skip" else None,
    )


def open_round(
    components: Components,
    run: Path,
    spec: RoundSpec,
    advanced: Callable[[str, int], object] = lambda stage, rows: None,
) -> Round:
    """The round that `spec` describes, in the run folder; `advanced` gets a stage and new rows."""
    resolved = components.resolved
    recipe, slm = resolved.recipe, resolved.parts["slm"]
    vocoder, transcriber = resolved.first("vocoder"), resolved.first("transcriber")

    @cache
    def policy() -> SpeechLM:
        from orality.training import load_policy

        return load_policy(components.slm, [run / adapter for adapter in spec.adapters])

    @cache
    def reference() -> str:
        from orality.training import policy_fingerprint

        return policy_fingerprint(policy())

    return Round(
        run=run,
        name=spec.name,
        prompts=Prompts(run / "prompts", spec.counts),
        slm=policy,
        reference=reference,
        vocoder=components.builder(vocoder),
        transcriber=components.builder(transcriber),
        judges=components.judges,
        samples_per_prompt=recipe.sampling.samples_per_prompt,
        sampling=recipe.sampling.options,
        max_new_units=spec.max_new_units,
        selection=spec.selection,
        seed=recipe.seed,
        prompts_at_a_time=slm.spec.batch_size(slm.config),
        language=resolved.written_language(transcriber),
        advanced=advanced,
    )
