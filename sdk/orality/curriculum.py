"""The whole of Align-SLM: rounds of feedback and training with rising thresholds, then evaluation.

Every step looks at what the run folder already holds and does the rest, so a killed run continues
where it stopped when the same command is given again.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from orality.corpus import load_corpus
from orality.errors import StoreError, TrainingError
from orality.feedback import PairOptions, make_pairs, make_prompts, read_pairs, select_pairs
from orality.feedback.stages import seed_of
from orality.plugins import Registry, load
from orality.progress import Progress, silent
from orality.protocols import Judge, SpeechLM, SpeechTokenizer, Transcriber, Vocoder
from orality.recipe import ComponentChoice, Recipe, Thresholds
from orality.store import Run, read_json, read_records, write_json
from orality.types import PreferencePair, Units

logger = logging.getLogger(__name__)

Record = dict[str, Any]
T = TypeVar("T")

PRETRAINED = "pre-trained"
FINE_TUNED = "fine-tuned"
PERPLEXITY = "perplexity feedback"


def align(
    recipe: Recipe | str | Path, out: str | Path, *, progress: Progress = silent
) -> dict[str, Any]:
    """Run a recipe from corpus to report and return what `results.json` holds.

    Leaves in `out` the adapters, all data, `results.json`, `table.md` and `report.html`; continues
    what a killed run left behind.
    """
    session = _Session(Recipe.load(recipe), Run(out), progress)
    with session.run.lock():
        session.open()
        prompts = session.prompts()
        adapters: list[Path] = []
        for number, thresholds in enumerate(session.recipe.rounds, start=1):
            session.pairs(prompts, f"round-{number}", thresholds, adapters)
            adapters.append(session.train_round(f"round-{number}", adapters))
        session.train_baselines(prompts)
        results = session.evaluate(prompts)
        session.report()
    return results


def build_pairs(
    recipe: Recipe | str | Path, out: str | Path, *, progress: Progress = silent
) -> Path:
    """Make the first round's preference pairs; returns their folder, `out`/round-1/pairs."""
    session = _Session(Recipe.load(recipe), Run(out), progress)
    with session.run.lock():
        session.open()
        session.pairs(session.prompts(), "round-1", session.recipe.rounds[0], [])
    return session.run.stage("round-1", "pairs")


def train(
    recipe: Recipe | str | Path,
    pairs: str | Path | Sequence[PreferencePair],
    out: str | Path,
    *,
    dev_pairs: Sequence[PreferencePair] = (),
    progress: Progress = silent,
) -> Path:
    """Train an adapter on pairs (a folder of shards, or values) and return the adapter's folder.

    Pairs whose reference was recorded under another policy get their reference computed anew.
    """
    recipe = Recipe.load(recipe)
    session = _Session(recipe, Run(out), progress)
    if isinstance(pairs, str | Path):
        folder = Path(pairs)
        given, dev_pairs = read_pairs(folder, "train"), read_pairs(folder, "dev")
        if not given:
            raise TrainingError(f"{folder} holds no pairs; make some with `orality pairs`")
    else:
        given = list(pairs)
    with session.run.lock():
        return session.train_pairs(given, dev_pairs, Path(out), [])


def evaluate(
    recipe: Recipe | str | Path, out: str | Path, *, progress: Progress = silent
) -> dict[str, Any]:
    """Evaluate the pre-trained model and every adapter the run folder holds; returns the results."""
    session = _Session(Recipe.load(recipe), Run(out), progress)
    with session.run.lock():
        session.open()
        return session.evaluate(session.prompts())


class Components:
    """The recipe's components, each built when first asked for and kept."""

    def __init__(self, recipe: Recipe, registry: Registry) -> None:
        self._recipe, self._registry = recipe, registry

    def _build(self, kind: str, choice: ComponentChoice) -> Any:
        started = time.monotonic()
        built = self._registry.build(kind, choice.name, **choice.config)
        logger.info("built %s %r in %.1f s", kind, choice.name, time.monotonic() - started)
        return built

    @cached_property
    def tokenizer(self) -> SpeechTokenizer:
        tokenizer: SpeechTokenizer = self._build("tokenizer", self._recipe.tokenizer)
        return tokenizer

    @cached_property
    def slm(self) -> SpeechLM:
        slm: SpeechLM = self._build("slm", self._recipe.slm)
        return slm

    @cached_property
    def vocoder(self) -> Vocoder | None:
        choice = self._recipe.vocoder
        return None if choice is None else self._build("vocoder", choice)

    @cached_property
    def transcriber(self) -> Transcriber | None:
        choice = self._recipe.transcriber
        return None if choice is None else self._build("transcriber", choice)

    @cached_property
    def judge(self) -> Judge:
        judge: Judge = self._build("judge", self._recipe.judge)
        return judge

    @cached_property
    def evaluation_transcriber(self) -> Transcriber | None:
        choice = self._recipe.evaluation.transcriber
        return self.transcriber if choice is None else self._build("transcriber", choice)

    @cached_property
    def evaluation_judge(self) -> Judge:
        choice = self._recipe.evaluation.judge
        if choice is None:
            return self.judge
        judge: Judge = self._build("judge", choice)
        return judge


class _Session:
    """A recipe at work in a run folder."""

    def __init__(self, recipe: Recipe, run: Run, progress: Progress) -> None:
        self.recipe, self.run, self.progress = recipe, run, progress
        self.registry = load()
        self.stack = recipe.check(self.registry)
        self.components = Components(recipe, self.registry)

    def open(self) -> None:
        """Claim the run folder for this recipe."""
        choices = self._choices()
        described = {}
        for kind, choice in choices.items():
            component = self.registry.find(kind.split(".")[-1], choice.name)
            described[kind] = {
                **choice.model_dump(),
                "distribution": component.distribution,
                "version": component.version,
            }
        units = self.stack.slm[0].describe(self.stack.slm[1])
        self.run.open(
            recipe=self.recipe.dump(),
            fingerprint=self.recipe.fingerprint,
            details={
                "recipe": self.recipe.name,
                "seed": self.recipe.seed,
                "orality": importlib.metadata.version("orality"),
                "components": described,
                "units": None if units is None else _plain(units),
            },
        )

    def _choices(self) -> dict[str, ComponentChoice]:
        recipe = self.recipe
        found = {
            "tokenizer": recipe.tokenizer,
            "slm": recipe.slm,
            "vocoder": recipe.vocoder,
            "transcriber": recipe.transcriber,
            "judge": recipe.judge,
            "evaluation.transcriber": recipe.evaluation.transcriber,
            "evaluation.judge": recipe.evaluation.judge,
        }
        return {kind: choice for kind, choice in found.items() if choice is not None}

    def prompts(self) -> list[Record]:
        """The usable prompts of all splits."""
        recipe, corpus = self.recipe, self.recipe.corpus
        return make_prompts(
            load_corpus(corpus.path, language=recipe.language),
            run=self.run.path,
            tokenizer=self.components.tokenizer,
            transcriber=self.components.transcriber if self._reads_text else None,
            limits={
                "train": corpus.max_prompts,
                "dev": corpus.max_dev_prompts,
                "test": recipe.evaluation.prompts,
            },
            min_seconds=corpus.min_seconds,
            prompt_seconds=corpus.prompt_seconds,
            fixed_cut=corpus.fixed_cut,
            max_failures=corpus.max_failures,
            seed=recipe.seed,
            progress=self.progress,
        )

    @property
    def _reads_text(self) -> bool:
        return "text" in self.stack.judge[0].reads

    def policy(self, adapters: Sequence[Path]) -> SpeechLM:
        """The pre-trained model with adapters merged in order."""
        from orality.training import load_policy

        return load_policy(self.components.slm, adapters)

    def fingerprint(self, adapters: Sequence[Path]) -> str:
        """Names a policy: the slm's configuration and units, and the adapters' weights."""
        config = json.dumps(self.recipe.slm.model_dump(mode="json"), sort_keys=True)
        units = self.stack.slm[0].describe(self.stack.slm[1])
        digest = hashlib.sha256(f"{config}{units}".encode())
        for adapter in adapters:
            digest.update((adapter / "adapter_model.safetensors").read_bytes())
        return digest.hexdigest()

    def options(
        self, thresholds: Thresholds, adapters: Sequence[Path], **changes: Any
    ) -> PairOptions:
        """How a round makes pairs."""
        recipe, judge = self.recipe, self.stack.judge[0]
        options = PairOptions(
            samples_per_prompt=recipe.sampling.samples_per_prompt,
            sampling=recipe.sampling.options,
            max_seconds=recipe.sampling.max_seconds,
            rejected=thresholds.rejected,
            chosen=thresholds.chosen,
            max_auto_bleu=recipe.selection.max_auto_bleu,
            seed=recipe.seed,
            reference=self.fingerprint(adapters),
            reads=judge.reads,
            judge_name=judge.name,
            scale=judge.scale,
        )
        return replace(options, **changes)

    def pairs(
        self,
        prompts: Sequence[Record],
        name: str,
        thresholds: Thresholds,
        adapters: Sequence[Path],
    ) -> list[Record]:
        """The pairs of one round, sampled from the policy that the last round left."""
        parts = self.components
        policy = _once(lambda: self.policy(adapters))
        return make_pairs(
            [record for record in prompts if record["split"] in {"train", "dev"}],
            run=self.run.path,
            name=name,
            slm=policy,
            vocoder=None if self.recipe.vocoder is None else lambda: _given(parts.vocoder),
            transcriber=(
                None if self.recipe.transcriber is None else lambda: _given(parts.transcriber)
            ),
            judge=lambda: parts.judge,
            options=self.options(thresholds, adapters),
            progress=self.progress,
        )

    def train_round(self, name: str, adapters: Sequence[Path]) -> Path:
        """The adapter of one round; adapters of earlier rounds are merged beneath it."""
        folder = self.run.stage(name, "pairs")
        return self.train_pairs(
            read_pairs(folder, "train"),
            read_pairs(folder, "dev"),
            self.run.path / name,
            adapters,
        )

    def train_pairs(
        self,
        pairs: Sequence[PreferencePair],
        dev_pairs: Sequence[PreferencePair],
        out: Path,
        adapters: Sequence[Path],
    ) -> Path:
        """DPO with a fresh adapter on the given policy, unless the adapter is already there."""
        done = self._finished(out)
        if done is not None:
            return done
        from orality.training import train_dpo

        options = self.recipe.training
        result = train_dpo(
            self.policy(adapters),
            pairs,
            dev_pairs,
            out=out,
            reference=self.fingerprint(adapters),
            seed=self.recipe.seed,
            progress=self.progress,
            **options.model_dump(),
        )
        self.run.event("trained", adapter=str(out.name), pairs=len(pairs), **_figures(result))
        return out / "adapter"

    def train_baselines(self, prompts: Sequence[Record]) -> None:
        """The further systems of Align-SLM's Table 1, where the recipe asks for them."""
        if self.recipe.baselines.fine_tuned:
            self._fine_tune(prompts, self.run.path / "baseline-fine-tuned")
        if self.recipe.baselines.perplexity:
            out = self.run.path / "baseline-perplexity"
            first = self.run.path / "round-1"
            transcripts = read_records(first / "transcripts")
            select_pairs(
                [record for record in prompts if record["split"] in {"train", "dev"}],
                read_records(first / "continuations"),
                {row["id"]: row for row in transcripts},
                {row["id"]: row for row in read_records(first / "verdicts")},
                folder=out / "pairs",
                options=self.options(self.recipe.rounds[0], [], by="perplexity"),
            )
            self.train_round(out.name, [])

    def _fine_tune(self, prompts: Sequence[Record], out: Path) -> None:
        if self._finished(out) is not None:
            return
        from orality.training import train_sft

        options = self.recipe.training.model_dump(exclude={"beta", "sft_weight"})
        options["sequences_per_step"] = options.pop("pairs_per_step")
        split = {
            name: [
                (record["id"], Units(np.asarray(record["utterance_units"], dtype=np.int64)))
                for record in prompts
                if record["split"] == name
            ]
            for name in ("train", "dev")
        }
        result = train_sft(
            self.policy([]),
            split["train"],
            split["dev"],
            out=out,
            seed=self.recipe.seed,
            progress=self.progress,
            **options,
        )
        self.run.event("trained", adapter=out.name, **_figures(result))

    def _finished(self, out: Path) -> Path | None:
        adapter = out / "adapter"
        return adapter if (adapter / "COMPLETE").exists() else None

    def systems(self) -> dict[str, list[Path]]:
        """Every system the run holds: its name and the adapters that make it, in order."""
        found: dict[str, list[Path]] = {PRETRAINED: []}
        for name, folder in ((FINE_TUNED, "fine-tuned"), (PERPLEXITY, "perplexity")):
            adapter = self._finished(self.run.path / f"baseline-{folder}")
            if adapter is not None:
                found[name] = [adapter]
        adapters: list[Path] = []
        for number in range(1, len(self.recipe.rounds) + 1):
            adapter = self._finished(self.run.path / f"round-{number}")
            if adapter is None:
                break
            adapters.append(adapter)
            found[f"round {number}"] = list(adapters)
        return found

    def evaluate(self, prompts: Sequence[Record]) -> dict[str, Any]:
        """Measure every system on what was held out, and store `results.json` and the table."""
        raise NotImplementedError

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


def _given(component: T | None) -> T:
    if component is None:
        raise StoreError("a stage needs a component that the recipe does not name")
    return component


def _plain(value: Any) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(value)


def _figures(result: Any) -> dict[str, Any]:
    return {
        key: value
        for key, value in _plain(result).items()
        if isinstance(value, int | float | str) or value is None
    }


__all__ = ["align", "build_pairs", "evaluate", "read_json", "seed_of", "train", "write_json"]
