"""What there is to write, prompts as checked tokens, and what is written."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from orality import EvaluationError, Units

if TYPE_CHECKING:
    from orality_slm_twist.slm import TwistLM

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """One prompt: where it stood, its tokens, the seed of its draws and how far it may go."""

    index: int
    tokens: torch.Tensor
    seed: int
    limit: int


@dataclass(frozen=True, slots=True)
class Drawn:
    """One continuation: token ids without EOS, their log-probability, whether EOS was drawn."""

    tokens: torch.Tensor
    told: float
    ended: bool


@dataclass(frozen=True, slots=True)
class Piece:
    """`count` samples of a job, from number `first` on."""

    job: Job
    first: int
    count: int


def pieces_of(jobs: Sequence[Job], num_samples: int, samples: int) -> list[Piece]:
    """The jobs' samples in pieces of at most `samples`, in the jobs' order."""
    return [
        Piece(job, first, min(samples, num_samples - first))
        for job in jobs
        for first in range(0, num_samples, samples)
    ]


def make_jobs(
    slm: TwistLM, prompts: Sequence[Units], seeds: Sequence[int], max_new_units: int
) -> list[Job]:
    """The prompts as jobs, the shortest first.

    Raises EvaluationError for a prompt that cannot be continued.
    """
    if len(seeds) != len(prompts):
        raise EvaluationError(f"got {len(prompts)} prompts and {len(seeds)} seeds; give one each")
    jobs = [
        _job(slm, index, prompt, seed, max_new_units)
        for index, (prompt, seed) in enumerate(zip(prompts, seeds, strict=True))
    ]
    if any(job.limit < max_new_units for job in jobs):
        logger.warning("some continuations will be cut short by the context of %d tokens",
                       slm.context_length)  # fmt: skip
    return sorted(jobs, key=lambda job: len(job.tokens))


def _job(slm: TwistLM, index: int, prompt: Units, seed: int, max_new_units: int) -> Job:
    tokens = slm.to_input_ids(prompt)
    if not len(tokens):
        if slm.bos is None:
            raise EvaluationError(f"prompt {index} is empty and the model has no BOS to begin with")
        tokens = torch.tensor([slm.bos])
    room = slm.context_length - len(tokens)
    if room < 1:
        raise EvaluationError(
            f"prompt {index} has {len(tokens)} tokens and fills the context of "
            f"{slm.context_length}; shorten it"
        )
    return Job(index, tokens, int(seed), min(max_new_units, room))
