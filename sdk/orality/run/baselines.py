"""The further systems of Align-SLM's Table 1: fine-tuned, and perplexity feedback."""

from __future__ import annotations

from orality.feedback import Prompts
from orality.run.pairs import reselect_round
from orality.run.session import Session
from orality.store.systems import BASELINES


def train_baselines(session: Session, prompts: Prompts) -> None:
    """The further systems of Align-SLM's Table 1, where the recipe asks for them."""
    wanted = session.recipe.baselines
    name = BASELINES["fine-tuned"]
    if wanted.fine_tuned and session.finished(name) is None:
        session.fine_tune(prompts, session.run.stage(name, "train"))
    name = BASELINES["perplexity feedback"]
    if wanted.perplexity and session.finished(name) is None:
        rule = session.rule(session.recipe.rounds[0], by="perplexity")
        reselect_round(session, "round-1", rule, session.run.stage(name, "pairs"))
        session.train_round(name, [])
