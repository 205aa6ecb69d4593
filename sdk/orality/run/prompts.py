"""The prompts of a run: cut from its corpus where they are missing."""

from __future__ import annotations

from orality.corpus import corpus_of
from orality.feedback import Prompts, collect_prompts, median_pace
from orality.run.session import Session
from orality.run.workers import Job, Ledger


def ensure_prompts(session: Session) -> Prompts:
    """The usable prompts of all splits, made where they are missing."""
    recipe, options = session.recipe, session.recipe.corpus
    ledger = Ledger(session.run.path, "prompts", {})
    corpus = corpus_of(recipe)
    return collect_prompts(
        corpus,
        folder=session.run.path / "prompts",
        cut=lambda chunks: session.work(
            session.worker_spec(), [Job.cutting(item) for item in chunks], ledger, corpus
        ),
        limits={
            "train": options.max_prompts,
            "dev": options.max_dev_prompts,
            "test": recipe.evaluation.prompts,
        },
        shard_size=recipe.shard_size,
        max_failures=options.max_failures,
        seed=recipe.seed,
        progress=session.progress,
    )


def max_new_units(session: Session, prompts: Prompts) -> int:
    """How many units the longest continuation takes, at the prompts' median pace."""
    return max(1, round(session.recipe.sampling.max_seconds * median_pace(prompts)))
