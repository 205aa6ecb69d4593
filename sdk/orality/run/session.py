"""A recipe at work in a run folder: its components, and one method for each step of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from orality.corpus import Utterance
from orality.errors import RecipeError
from orality.evaluation import check_metrics
from orality.feedback import (
    Prompts,
    SelectionRule,
    read_pairs,
)
from orality.progress import Progress
from orality.protocols import SpeechLM
from orality.recipe import Recipe
from orality.recipe.checking import check_resolved
from orality.recipe.pair_sections import Thresholds
from orality.run.components import Components
from orality.run.stages import RoundSpec
from orality.run.superseding import set_aside
from orality.run.tracked_metrics import yield_figures
from orality.run.workers import (
    ComponentBuilt,
    Event,
    Job,
    Ledger,
    Workers,
    WorkerSpec,
    stop_on_interrupt,
    work_in_process,
)
from orality.store import Run, read_json
from orality.store.systems import ADOPTION, BASELINES, PRETRAINED, aligned
from orality.tracking import Tracked, Tracker, open_trackers
from orality.types import PreferencePair, Units
from orality.weights import WeightFile

Record = dict[str, Any]


class Session:
    """One recipe, one run folder; the recipe's stack is checked at once, weights come later."""

    def __init__(
        self,
        recipe: Recipe | str | Path,
        out: str | Path,
        progress: Progress,
        workers: Workers | None = None,
        trackers: Mapping[str, Tracker] | None = None,
    ) -> None:
        self.recipe, self.run, self.progress = Recipe.load(recipe), Run(out), progress
        self.resolved, self.workers = self.recipe.resolve(), workers
        check_resolved(self.resolved)
        self.components = Components(self.resolved, self._note_weights)
        check_metrics(self.resolved)
        self.tracker = open_trackers(
            self.recipe.tracking,
            self.run.path / "tracking",
            project=self.recipe.name,
            local_only=self.recipe.local_only,
            further=trackers,
        )
        self._opened = False

    @contextmanager
    def open(self) -> Iterator[None]:
        """Hold the run folder for this recipe and this process."""
        with self.run.lock():
            begun = self.run.path / "recipe.yaml"
            before = Recipe.load(begun) if begun.is_file() else None
            self.run.open(
                recipe=self.recipe.dump(),
                fingerprint=self.resolved.fingerprint,
                details={
                    "recipe": self.recipe.name,
                    "seed": self.recipe.seed,
                    "components": self._described_components(),
                },
            )
            if before is not None and before != self.recipe:
                set_aside(self.run.path, before, self.recipe)
                self.run.note_recipe(self.recipe.dump())
            self._opened = True
            try:
                yield
            finally:
                self._opened = False

    def _note_weights(self, place: str, weights: Sequence[WeightFile]) -> None:
        if self._opened:  # a training on given pairs has a folder, but no manifest
            self.run.note_weights(place, [asdict(file) for file in weights])

    def _described_components(self) -> dict[str, Any]:
        return {
            place: {
                **choice.model_dump(mode="json"),
                "distribution": self.resolved.parts[place].component.distribution,
                "version": self.resolved.parts[place].component.version,
            }
            for place, choice in self.recipe.choices.items()
        }

    def worker_spec(self, round_spec: RoundSpec | None = None) -> WorkerSpec:
        """What a worker must know to do the jobs of a round, or to cut prompts."""
        folder = str(self.run.path.resolve())
        return WorkerSpec(recipe=self.recipe, folder=folder, round=round_spec)

    def work(
        self,
        spec: WorkerSpec,
        jobs: Sequence[Job],
        ledger: Ledger,
        corpus: Sequence[Utterance] | None = None,
    ) -> None:
        """Have jobs done by the session's workers; KeyboardInterrupt after Ctrl-C.

        `corpus`: for workers in this process; workers in others open it themselves.
        """
        if not jobs:
            return

        def emit(event: Event) -> None:
            if isinstance(event, ComponentBuilt):
                self.run.note_weights(event.place, event.weights)
            else:
                ledger.add(event)

        workers = self.workers or work_in_process(self.components, corpus)
        with stop_on_interrupt() as should_stop:
            workers(spec, jobs, emit, should_stop)
            if should_stop():  # during the last shard: stop before the next step
                raise KeyboardInterrupt

    def tracked(self, name: str) -> Tracked:
        """A part of the run for trackers, with what its pairs were selected from, if any."""
        before = {}
        if (self.run.path / name / "pairs").is_dir():
            before = yield_figures(self.run.path / name, self.recipe.selection.verdicts)
        config = {
            "recipe": self.recipe.model_dump(mode="json", exclude={"tracking"}),
            "components": self._described_components(),
        }
        return Tracked(tracker=self.tracker, name=name, config=config, before=before)

    def policy(self, adapters: Sequence[Path]) -> SpeechLM:
        """The pre-trained model with adapters merged in order."""
        from orality.training import load_policy

        return load_policy(self.components.slm, adapters)

    def rule(
        self,
        thresholds: Thresholds,
        *,
        by: str = "score",
        max_auto_bleu: float | None = None,
        judge: str | None = None,
    ) -> SelectionRule:
        """How pairs are selected at these thresholds; what is not given is the recipe's."""
        given = {"max_auto_bleu": max_auto_bleu, "judge": judge}
        options = self.recipe.selection.model_copy(
            update={name: value for name, value in given.items() if value is not None}
        )
        if options.judge is not None and options.judge not in self.recipe.further_judges:
            known = ", ".join(sorted(self.recipe.further_judges)) or "none"
            raise RecipeError(f"the recipe has no further judge {options.judge!r}; it has {known}")
        return SelectionRule(
            thresholds=thresholds,
            options=options,
            by="perplexity" if by == "perplexity" else "score",
        )

    def finished(self, name: str) -> Path | None:
        """The adapter of a round or baseline, once its training is complete."""
        adapter = self.run.path / name / "train" / "adapter"
        return adapter if (adapter / "adapter_model.safetensors").exists() else None

    def adopted(self, name: str) -> bool:
        """Whether a finished round's policy is kept; see `orality.run.adoption`."""
        note = self.run.path / name / ADOPTION
        return not note.is_file() or bool(read_json(note)["adopted"])

    def train_round(self, name: str, adapters: Sequence[Path]) -> Path:
        """The adapter of one round, trained on its pairs; earlier adapters are merged beneath."""
        done = self.finished(name)
        if done is not None:
            return done
        pairs = self.run.stage(name, "pairs")
        adapter = self.train_pairs(
            read_pairs(pairs, "train"),
            read_pairs(pairs, "dev"),
            self.run.stage(name, "train"),
            adapters,
            self.tracked(name),
        )
        self.run.event("trained", where=name)
        return adapter

    def train_pairs(
        self,
        pairs: Sequence[PreferencePair],
        dev_pairs: Sequence[PreferencePair],
        out: Path,
        adapters: Sequence[Path],
        tracked: Tracked | None = None,
    ) -> Path:
        """DPO with a fresh adapter on the given policy, held to it or to the pre-trained model."""
        from orality.training import train_dpo
        from orality.training.options import loss_of, optimization_of

        options = self.recipe.training
        first = options.reference == "first" and adapters
        result = train_dpo(
            self.policy(adapters), pairs, dev_pairs, out=out, loss=loss_of(self.recipe),
            reference_policy=self.policy([]) if first else None,
            best_by=options.best_by, max_kl=options.max_kl, tracked=tracked,
            progress=self.progress, **optimization_of(self.recipe),
        )  # fmt: skip
        return Path(result.adapter)

    def fine_tune(self, prompts: Prompts, out: Path) -> None:
        """Continued next-unit prediction on whole recordings, as a further system."""
        from orality.training import train_sft
        from orality.training.options import optimization_of

        def sequences(split: str) -> list[tuple[str, Units]]:
            rows = prompts.records(split, columns=["id", "utterance_units"])
            found = [(row["id"], Units.of(row["utterance_units"])) for row in rows]
            return sorted(found, key=lambda item: item[0])

        train_sft(
            self.policy([]), sequences("train"), sequences("dev"), out=out,
            tracked=self.tracked(out.parent.name), progress=self.progress,
            **optimization_of(self.recipe),
        )  # fmt: skip
        self.run.event("trained", where=out.parent.name)

    def combine(self, adapters: Sequence[Path]) -> Path:
        """The rounds' adapters as one, in `adapter`: what a user of the result loads with PEFT."""
        from orality.training import combine_adapters

        return combine_adapters(adapters, self.run.path / "adapter")

    def systems(self) -> dict[str, list[Path]]:
        """Every system the run holds: its name and the adapters that make it, in order."""
        found: dict[str, list[Path]] = {PRETRAINED: []}
        for name, folder in BASELINES.items():
            adapter = self.finished(folder)
            if adapter is not None:
                found[name] = [adapter]
        adapters: list[Path] = []
        for number in range(1, len(self.recipe.rounds) + 1):
            adapter = self.finished(f"round-{number}")
            if adapter is None:
                break
            if self.adopted(f"round-{number}"):
                adapters.append(adapter)
                found[aligned(number)] = list(adapters)
        return found

    def report(self) -> Path:
        """The page a person can listen to."""
        from orality.report import write_report

        return write_report(self.run.path)
