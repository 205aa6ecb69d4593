"""Sampling continuations: checks, the choice of a way to run the model, units back."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from orality import CheckpointError, EvaluationError, Sample, SamplingOptions, Units
from orality_slm_twist.architectures import bare, reason_against
from orality_slm_twist.engine import eager, room_for, write
from orality_slm_twist.graphs import replayed
from orality_slm_twist.jobs import Drawn, Job, make_jobs, pieces_of
from orality_slm_twist.padded import write_padded
from orality_slm_twist.sampling import check, rules_of
from orality_slm_twist.scoring import evaluating

if TYPE_CHECKING:
    from orality_slm_twist.slm import TwistLM

logger = logging.getLogger(__name__)

ROWS_ON_CPU = 160
ROWS_ON_GPU = 1024

Engine = Literal["auto", "torch", "transformers", "vllm"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """How the model runs while it writes; see `TwistConfig`."""

    engine: Engine = "auto"
    rows: int | None = None
    cache_gib: float = 4.0
    cuda_graphs: bool = True


DEFAULTS = Running()


def generate(
    slm: TwistLM,
    prompts: Sequence[Units],
    *,
    num_samples: int,
    max_new_units: int,
    sampling: SamplingOptions,
    seeds: Sequence[int],
) -> list[list[Sample]]:
    """See `TwistLM.generate`."""
    check(sampling)
    if num_samples < 0 or max_new_units < 0:
        raise EvaluationError(
            f"num_samples ({num_samples}) and max_new_units ({max_new_units}) cannot be negative"
        )
    jobs = make_jobs(slm, prompts, seeds, max_new_units)
    if max_new_units == 0:
        return [
            [Sample(Units(np.zeros(0, np.int64)), 0.0) for _ in range(num_samples)] for _ in prompts
        ]
    found: dict[tuple[int, int], Drawn] = {}
    if jobs and num_samples:
        if slm.running.engine == "vllm":
            found = slm.vllm_writer()(jobs, num_samples, sampling)
        else:
            found = _write(slm, jobs, num_samples, sampling)
    return [
        [_sample(slm, found[index, number]) for number in range(num_samples)]
        for index in range(len(prompts))
    ]


def _write(
    slm: TwistLM, jobs: list[Job], num_samples: int, sampling: SamplingOptions
) -> dict[tuple[int, int], Drawn]:
    running = slm.running
    module: Any = slm.module
    against = _reason_for_transformers(slm)
    with torch.inference_mode(), evaluating(module):
        on_cpu = next(module.parameters()).device.type == "cpu"
        rows = running.rows or (ROWS_ON_CPU if on_cpu else ROWS_ON_GPU)
        if against:
            logger.info("transformers' own forward writes: %s", against)
            return write_padded(slm, jobs, num_samples, sampling, rows)
        decoder = bare(module)
        rules = rules_of(slm, sampling, module.lm_head.out_features)
        room = room_for(
            decoder, jobs, num_samples, rows=rows, cache_bytes=running.cache_gib * 2**30,
            context_length=slm.context_length,
        )  # fmt: skip
        step = eager(decoder)
        if decoder.device.type == "cuda" and running.cuda_graphs:
            step = replayed(step)
        return write(decoder, pieces_of(jobs, num_samples, room.samples), rules, room, step)


def _reason_for_transformers(slm: TwistLM) -> str | None:
    if slm.running.engine == "transformers":
        return "engine is 'transformers'"
    against = reason_against(slm.module)
    if against and slm.running.engine == "torch":
        raise CheckpointError(
            f"engine 'torch' cannot run this model: {against}; 'auto' leaves it to transformers"
        )
    return against


def _sample(slm: TwistLM, drawn: Drawn) -> Sample:
    return Sample(units=slm.to_units(drawn.tokens), log_prob=drawn.told, finished=drawn.ended)
