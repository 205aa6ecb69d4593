"""A recipe at work in a run folder: its components, and one method for each step of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from orality.corpus import load_corpus
from orality.feedback import PairOptions, make_pairs, make_prompts, read_pairs, select_pairs
from orality.lazy_components import LazyComponents
from orality.plugins import load
from orality.progress import Progress
from orality.protocols import SpeechLM
from orality.recipe import Recipe, Thresholds
from orality.store import Run, read_json, read_records, write_json
from orality.types import PreferencePair, Units
from orality.weights import WeightFile

Record = dict[str, Any]
T = TypeVar("T")

PRETRAINED = "pre-trained"
BASELINES = {"fine-tuned": "baseline-fine-tuned", "perplexity feedback": "baseline-perplexity"}


class Session:
    """One recipe, one run folder; the recipe's stack is checked at once, weights come later."""

    def __init__(self, recipe: Recipe | str | Path, out: str | Path, progress: Progress) -> None:
        self.recipe, self.run, self.progress = Recipe.load(recipe), Run(out), progress
        self.registry = load()
        self.stack = self.recipe.check(self.registry)
        self.components = LazyComponents(self.recipe, self.registry, self._note_weights)
        self._opened = False

    @contextmanager
    def open(self) -> Iterator[None]:
        """Hold the run folder for this recipe and this process."""
        with self.run.lock():
            self.run.open(
                recipe=self.recipe.dump(),
                fingerprint=self.recipe.without_neutral(self.registry).fingerprint,
                details={
                    "recipe": self.recipe.name,
                    "seed": self.recipe.seed,
                    "components": self._described_components(),
                },
            )
            self._opened = True
            try:
                yield
            finally:
                self._opened = False

    def _note_weights(self, place: str, weights: Sequence[WeightFile]) -> None:
        if self._opened:  # a training on given pairs has a folder, but no manifest
            self.run.note_weights(place, [asdict(file) for file in weights])

    def _described_components(self) -> dict[str, Any]:
        described = {}
        for place, choice in self.recipe.choices.items():
            found = self.registry.find(place.removeprefix("evaluation."), choice.name)
            described[place] = {
                **choice.model_dump(mode="json"),
                "distribution": found.distribution,
                "version": found.version,
            }
        return described

    def prompts(self) -> list[Record]:
        """The usable prompts of all splits."""
        corpus = self.recipe.corpus
        reads_text = "text" in self.stack.judge[0].reads
        return make_prompts(
            load_corpus(corpus.path, language=self.recipe.language, alignments=corpus.alignments),
            run=self.run.path,
            tokenizer=self.components.tokenizer,
            transcriber=(lambda: self.components.transcriber) if reads_text else None,
            limits={
                "train": corpus.max_prompts,
                "dev": corpus.max_dev_prompts,
                "test": self.recipe.evaluation.prompts,
            },
            min_seconds=corpus.min_seconds,
            prompt_seconds=corpus.prompt_seconds,
            fixed_cut=corpus.fixed_cut,
            max_failures=corpus.max_failures,
            seed=self.recipe.seed,
            progress=self.progress,
        )

    def policy(self, adapters: Sequence[Path]) -> SpeechLM:
        """The pre-trained model with adapters merged in order."""
        from orality.training import load_policy

        return load_policy(self.components.slm, adapters)

    def make_pairs(
        self,
        prompts: Sequence[Record],
        name: str,
        thresholds: Thresholds,
        adapters: Sequence[Path],
    ) -> list[Record]:
        """The pairs of one round, sampled from the policy that the last round left."""
        recipe, parts = self.recipe, self.components
        policy = _once(lambda: self.policy(adapters))
        return make_pairs(
            [record for record in prompts if record["split"] in {"train", "dev"}],
            run=self.run.path,
            name=name,
            slm=policy,
            vocoder=None if recipe.vocoder is None else lambda: parts.vocoder,
            transcriber=None if recipe.transcriber is None else lambda: parts.transcriber,
            judge=lambda: parts.judge,
            options=self._options(thresholds, self._reference(name, policy)),
            progress=self.progress,
        )

    def _options(self, thresholds: Thresholds, reference: str, *, by: str = "score") -> PairOptions:
        recipe, (judge, judge_config) = self.recipe, self.stack.judge
        return PairOptions(
            samples_per_prompt=recipe.sampling.samples_per_prompt,
            sampling=recipe.sampling.options,
            max_seconds=recipe.sampling.max_seconds,
            rejected=thresholds.rejected,
            chosen=thresholds.chosen,
            max_auto_bleu=recipe.selection.max_auto_bleu,
            seed=recipe.seed,
            reference=reference,
            reads=judge.reads,
            judge_name=judge.name,
            scale=judge.scale,
            by=by,
            judge_batch=judge.batch_size(judge_config),
        )

    def _reference(self, name: str, policy: Callable[[], SpeechLM]) -> str:
        """The fingerprint of the policy that samples in a round, remembered in the run folder."""
        path = self.run.path / name / "policy.json"
        if not path.exists():
            from orality.training import policy_fingerprint

            write_json(path, {"fingerprint": policy_fingerprint(policy())})
        return str(read_json(path)["fingerprint"])

    def finished(self, name: str) -> Path | None:
        """The adapter of a round or baseline, once its training is complete."""
        adapter = self.run.path / name / "train" / "adapter"
        return adapter if (adapter / "adapter_model.safetensors").exists() else None

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
        )
        self.run.event("trained", where=name)
        return adapter

    def train_pairs(
        self,
        pairs: Sequence[PreferencePair],
        dev_pairs: Sequence[PreferencePair],
        out: Path,
        adapters: Sequence[Path],
    ) -> Path:
        """DPO with a fresh adapter on the given policy."""
        from orality.training import train_dpo
        from orality.training.options import loss_of, optimization_of

        result = train_dpo(
            self.policy(adapters), pairs, dev_pairs, out=out, loss=loss_of(self.recipe),
            progress=self.progress, **optimization_of(self.recipe),
        )  # fmt: skip
        return Path(result.adapter)

    def train_baselines(self, prompts: Sequence[Record]) -> None:
        """The further systems of Align-SLM's Table 1, where the recipe asks for them."""
        wanted = self.recipe.baselines
        name = BASELINES["fine-tuned"]
        if wanted.fine_tuned and self.finished(name) is None:
            self._fine_tune(prompts, self.run.stage(name, "train"))
        name = BASELINES["perplexity feedback"]
        if wanted.perplexity and self.finished(name) is None:
            first = self.run.path / "round-1"
            select_pairs(
                [record for record in prompts if record["split"] in {"train", "dev"}],
                read_records(first / "continuations"),
                {row["id"]: row for row in read_records(first / "transcripts")},
                {row["id"]: row for row in read_records(first / "verdicts")},
                folder=self.run.stage(name, "pairs"),
                options=self._options(
                    self.recipe.rounds[0],
                    str(read_json(first / "policy.json")["fingerprint"]),
                    by="perplexity",
                ),
            )
            self.train_round(name, [])

    def _fine_tune(self, prompts: Sequence[Record], out: Path) -> None:
        from orality.training import train_sft
        from orality.training.options import optimization_of

        def sequences(split: str) -> list[tuple[str, Units]]:
            return [
                (record["id"], units_of(record["utterance_units"]))
                for record in prompts
                if record["split"] == split
            ]

        train_sft(
            self.policy([]), sequences("train"), sequences("dev"), out=out, progress=self.progress,
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
            adapters.append(adapter)
            found[f"aligned round {number}"] = list(adapters)
        return found

    def report(self) -> Path:
        """The page a person can listen to."""
        from orality.report import write_report

        return write_report(self.run.path)


def _once(make: Callable[[], T]) -> Callable[[], T]:
    kept: list[T] = []

    def get() -> T:
        if not kept:
            kept.append(make())
        return kept[0]

    return get


def units_of(ids: Sequence[int]) -> Units:
    return Units(np.asarray(ids, dtype=np.int64))
