"""Whoever does jobs: the components of a recipe, and the stages they are used in."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import cached_property, partial
from pathlib import Path

import yaml

from orality.corpus import Utterance, corpus_of
from orality.factory.orders import Advanced, Built, Job, Made, Order, Tell
from orality.feedback import Chunk, CutRule, Judging, Prompts, Round, cut_chunk
from orality.feedback.cutting import Cutting
from orality.languages import is_same
from orality.lazy_components import LazyComponents
from orality.plugins import load
from orality.protocols import SpeechLM
from orality.recipe import Recipe


class Worker:
    """Does the jobs of one order; components are built when a job first needs them.

    `components` and `corpus`: those of whoever gives the order, if they are in the same process.
    """

    def __init__(
        self,
        order: Order,
        tell: Tell,
        components: LazyComponents | None = None,
        corpus: Sequence[Utterance] | None = None,
        number: int = 0,
    ) -> None:
        self._order, self._tell, self._number, self._given = order, tell, number, corpus
        self.recipe = Recipe.parse(yaml.safe_load(order.recipe))
        self.run = Path(order.folder)
        self._registry = components.registry if components else load()
        self.components = components or LazyComponents(
            self.recipe,
            self._registry,
            lambda place, weights: tell(Built(place, [asdict(file) for file in weights])),
        )

    def do(self, job: Job, asked_to_stop: Callable[[], bool]) -> None:
        """Make what of a job is missing; KeyboardInterrupt before the next shard of a stage, when
        asked to stop."""
        for stage, shards in self._steps(job):
            if asked_to_stop():
                raise KeyboardInterrupt
            if stage is None:
                self._cut(Chunk(job.shards[0], job.items))
            else:
                self.make(stage, shards)

    def _steps(self, job: Job) -> Iterator[tuple[str | None, tuple[str, ...]]]:
        """Stages in order, None for cutting prompts; only judges are given shards together."""
        if self._order.round is None:
            yield None, job.shards
            return
        for stage in self.round.stages:
            if stage in self.round.judges:
                yield stage, job.shards
            else:
                yield from ((stage, (shard,)) for shard in job.shards)

    def make(self, stage: str, shards: tuple[str, ...]) -> None:
        """Make shards of one stage, where they are missing."""
        started = time.monotonic()
        made, dollars = self.round.make(stage, shards)
        self._made(stage, shards, made, started, dollars)

    def _cut(self, chunk: Chunk) -> None:
        started = time.monotonic()
        rows = cut_chunk(self._corpus, chunk, self._cutting, self.run / "prompts")
        self._made("prompts", (chunk.shard,), rows, started)

    def _made(
        self, stage: str, shards: tuple[str, ...], rows: int, started: float, dollars: float = 0.0
    ) -> None:
        seconds = time.monotonic() - started
        self._tell(
            Made(
                stage=stage,
                shards=shards,
                rows=rows,
                seconds=seconds,
                dollars=dollars,
                worker=self._number,
            )
        )

    @cached_property
    def _corpus(self) -> Sequence[Utterance]:
        return corpus_of(self.recipe) if self._given is None else self._given

    @cached_property
    def _cutting(self) -> Cutting:
        options, parts = self.recipe.corpus, self.components
        judges = self.recipe.judge_specs(self._registry)
        reads_text = any("text" in spec.reads for spec, _ in judges.values())
        # A transcriber that no judge needs is used where the recipe asks for it alone.
        has_one = options.transcriber is not None or self.recipe.transcriber is not None
        wanted = reads_text or options.transcriber is not None or options.cut in ("aligned", "asr")
        transcriber = self.recipe.stack(self._registry).transcriber
        written = self.recipe.written_language(transcriber)
        return Cutting(
            self.run,
            parts.tokenizer,
            (lambda: parts.transcriber) if reads_text else None,
            options.min_seconds,
            options.prompt_seconds,
            CutRule(
                "fixed" if options.fixed_cut else options.cut,
                (lambda: parts.corpus_transcriber) if has_one and wanted else None,
                spoken_text=is_same(written, self.recipe.language),
            ),
            self.recipe.language if options.other_languages == "skip" else None,
        )

    @cached_property
    def _policy(self) -> SpeechLM:
        from orality.training import load_policy

        assert self._order.round is not None
        adapters = [self.run / adapter for adapter in self._order.round.adapters]
        return load_policy(self.components.slm, adapters)

    @cached_property
    def _reference(self) -> str:
        from orality.training import policy_fingerprint

        return policy_fingerprint(self._policy)

    @cached_property
    def round(self) -> Round:
        """The round that is ordered."""
        order, recipe, parts = self._order.round, self.recipe, self.components
        assert order is not None
        stack = recipe.stack(self._registry)
        slm, slm_config = stack.slm
        return Round(
            run=self.run,
            name=order.name,
            prompts=Prompts(self.run / "prompts", order.counts),
            slm=lambda: self._policy,
            reference=lambda: self._reference,
            vocoder=None if recipe.vocoder is None else lambda: parts.vocoder,
            transcriber=None if recipe.transcriber is None else lambda: parts.transcriber,
            judges={
                folder: Judging(
                    build=partial(parts.judge_of, folder),
                    name=spec.name,
                    reads=spec.reads,
                    scale=spec.scale,
                    batch=spec.batch_size(config),
                )
                for folder, (spec, config) in recipe.judge_specs(self._registry).items()
            },
            samples_per_prompt=recipe.sampling.samples_per_prompt,
            sampling=recipe.sampling.options,
            max_new_units=order.max_new_units,
            selection=order.selection,
            seed=recipe.seed,
            prompts_at_a_time=slm.batch_size(slm_config),
            language=recipe.written_language(stack.transcriber),
            advanced=lambda stage, rows: self._tell(Advanced(stage, rows)),
        )
