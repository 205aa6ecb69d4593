"""Sampling continuations: one prefill per prompt, a shared loop for all of its samples."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from orality import EvaluationError, Sample, SamplingOptions, Units
from orality_slm_twist.cache import roomy_cache
from orality_slm_twist.sampling import check, draw, uniforms
from orality_slm_twist.scoring import evaluating

if TYPE_CHECKING:
    from orality_slm_twist.slm import TwistLM

logger = logging.getLogger(__name__)

TOKENS_PER_BATCH = 65_536  # cache entries: rows times (prompt + new tokens)
_CROWDED = 0.8
"""Rows that have ended leave the cache, which is copied then, once the rest is at most this
share: one by one, the copies would take longer than the rows."""


@dataclass(slots=True)
class _Job:
    """One prompt on its way: its tokens, its random numbers and how far it may go."""

    index: int
    tokens: torch.Tensor
    seed: int
    limit: int


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
    if len(seeds) != len(prompts):
        raise EvaluationError(f"got {len(prompts)} prompts and {len(seeds)} seeds; give one each")
    if num_samples < 0 or max_new_units < 0:
        raise EvaluationError(
            f"num_samples ({num_samples}) and max_new_units ({max_new_units}) cannot be negative"
        )
    jobs = [
        _job(slm, index, prompt, seed, max_new_units)
        for index, (prompt, seed) in enumerate(zip(prompts, seeds, strict=True))
    ]
    if any(job.limit < max_new_units for job in jobs):
        logger.warning("some continuations will be cut short by the context of %d tokens",
                       slm.context_length)  # fmt: skip
    result: list[list[Sample]] = [[] for _ in prompts]
    if num_samples == 0:
        return result
    with torch.inference_mode(), evaluating(slm.module):
        for batch in _batches(jobs, num_samples, max_new_units):
            samples = _sample(slm, batch, num_samples, sampling)
            for row, job in enumerate(batch):
                result[job.index] = samples[row * num_samples : (row + 1) * num_samples]
    return result


def _job(slm: TwistLM, index: int, prompt: Units, seed: int, max_new_units: int) -> _Job:
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
    return _Job(index, tokens, int(seed), min(max_new_units, room))


def _batches(jobs: list[_Job], num_samples: int, max_new_units: int) -> list[list[_Job]]:
    """Prompts of similar length together, as many as the cache budget allows."""
    batches: list[list[_Job]] = []
    for job in sorted(jobs, key=lambda job: len(job.tokens)):
        size = num_samples * (len(job.tokens) + max_new_units)
        if batches and (len(batches[-1]) + 1) * size <= TOKENS_PER_BATCH:
            batches[-1].append(job)
        else:
            batches.append([job])
    return batches


def _sample(
    slm: TwistLM, jobs: list[_Job], num_samples: int, sampling: SamplingOptions
) -> list[Sample]:
    """All samples of a batch of prompts, prompt by prompt."""
    device = next(slm.module.parameters()).device
    longest, steps = max(len(job.tokens) for job in jobs), max(job.limit for job in jobs)
    width = longest + steps
    # Prompts end in the same column; what is left of a short one is masked, positions skip it.
    pads = torch.tensor([longest - len(job.tokens) for job in jobs], device=device)
    ids = torch.stack(
        [torch.nn.functional.pad(job.tokens, (longest - len(job.tokens), 0)) for job in jobs]
    ).to(device)  # (P, longest)
    logits, cache = _prefill(slm.module, ids, pads, room=width)
    logits = logits.repeat_interleave(num_samples, 0)  # (R, V), R = P * num_samples
    cache.batch_repeat_interleave(num_samples)
    pads = pads.repeat_interleave(num_samples)
    visible = torch.arange(width, device=device)[None] >= pads[:, None]  # (R, width)
    blocked = _additive(visible, slm.module)[:, None, None]  # (R, 1, 1, width)
    random = torch.cat([uniforms(job.seed, num_samples, steps) for job in jobs]).to(device)
    limits = torch.tensor([job.limit for job in jobs], device=device).repeat_interleave(num_samples)
    allowed = _allowed(slm, logits)
    seen = _seen(ids, pads[::num_samples], logits.shape[-1]).repeat_interleave(num_samples, 0)
    last = ids[:, -1].repeat_interleave(num_samples)
    # Who is in the cache, and who of them is still being written.
    rows = torch.arange(len(limits), device=device)
    live = torch.ones(len(limits), dtype=torch.bool, device=device)
    written = torch.full((len(limits), steps), -1, dtype=torch.int64, device=device)
    log_probs = torch.zeros(len(limits), dtype=torch.float64, device=device)
    ended = torch.zeros(len(limits), dtype=torch.bool, device=device)
    for step in range(steps):
        scores = logits.float()
        choices = scores.masked_fill(~allowed, -torch.inf)
        if slm.mask_repeats:
            choices = choices.scatter(1, last[:, None], -torch.inf)
        last = draw(choices, random[rows, step], sampling, seen=seen)
        stop = last == (-1 if slm.eos is None else slm.eos)
        chosen = scores.log_softmax(-1).gather(1, last[:, None])[:, 0].double()
        log_probs[rows] += chosen.masked_fill(stop | ~live, 0.0)
        written[rows, step] = last.masked_fill(stop | ~live, -1)
        ended[rows] |= stop & live
        seen.scatter_(1, last[:, None], True)
        live &= ~stop & (limits[rows] > step + 1)
        left = int(live.sum())
        if not left:
            break
        if left <= _CROWDED * len(live):
            kept = live.nonzero()[:, 0]
            rows, last, seen, pads = rows[kept], last[kept], seen[kept], pads[kept]
            blocked, live = blocked[kept], live[kept]
            cache.batch_select_indices(kept)
        if step + 1 < steps:
            logits = slm.module(
                input_ids=last[:, None],
                attention_mask=blocked[..., : longest + step + 1],
                position_ids=(longest + step - pads)[:, None],
                past_key_values=cache,
                use_cache=True,
            ).logits[:, -1]
    return [
        Sample(
            units=slm.to_units(row[row >= 0]),
            log_prob=float(value),
            finished=bool(end),
        )
        for row, value, end in zip(written.cpu(), log_probs.cpu(), ended.cpu(), strict=True)
    ]


def _prefill(
    module: torch.nn.Module, ids: torch.Tensor, pads: torch.Tensor, *, room: int
) -> tuple[torch.Tensor, Any]:
    """Logits after each prompt, shape (P, V), and the cache."""
    columns = torch.arange(ids.shape[1], device=ids.device)
    causal = columns[:, None] >= columns[None]
    visible = causal & (columns[None, None] >= pads[:, None, None])  # (P, T, T)
    visible |= torch.eye(len(columns), dtype=torch.bool, device=ids.device)  # no row without a key
    out = module(
        input_ids=ids,
        attention_mask=_additive(visible, module)[:, None],
        position_ids=(columns[None] - pads[:, None]).clamp(min=0),
        past_key_values=roomy_cache(module, room=room),
        use_cache=True,
        logits_to_keep=1,
    )
    return out.logits[:, -1], out.past_key_values


def _additive(visible: torch.Tensor, module: torch.nn.Module) -> torch.Tensor:
    """A float mask: every attention implementation adds it, while some misread booleans."""
    dtype = next(p.dtype for p in module.parameters() if p.is_floating_point())
    mask = torch.zeros(visible.shape, dtype=dtype, device=visible.device)
    return mask.masked_fill(~visible, torch.finfo(dtype).min)


def _allowed(slm: TwistLM, logits: torch.Tensor) -> torch.Tensor:
    """Bool, shape (V,): the units and EOS; no other special token is ever drawn."""
    allowed = torch.zeros(logits.shape[-1], dtype=torch.bool, device=logits.device)
    allowed[slm.offset : slm.offset + slm.unit_spec.vocab_size] = True
    if slm.eos is not None:
        allowed[slm.eos] = True
    return allowed


def _seen(ids: torch.Tensor, pads: torch.Tensor, vocab_size: int) -> torch.Tensor:
    """Bool, shape (P, V): the tokens of each prompt."""
    real = torch.arange(ids.shape[1], device=ids.device)[None] >= pads[:, None]
    counts = torch.zeros(len(ids), vocab_size, dtype=torch.int64, device=ids.device)
    return counts.scatter_add_(1, ids, real.long()) > 0
