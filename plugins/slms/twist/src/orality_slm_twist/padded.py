"""Sampling through transformers' own forward: prompts padded to one length, a row per sample."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from orality import EvaluationError, SamplingOptions
from orality_slm_twist.cache import roomy_cache, window_of
from orality_slm_twist.jobs import Drawn, Job
from orality_slm_twist.sampling import rules_of, uniforms

if TYPE_CHECKING:
    from orality_slm_twist.slm import TwistLM

TOKENS_PER_BATCH = 65_536  # cache entries: rows times (prompt + new tokens)
_CROWDED = 0.8
"""Rows that have ended leave the cache, which is copied then, once the rest is at most this
share: one by one, the copies would take longer than the rows."""


def write_padded(
    slm: TwistLM, jobs: list[Job], num_samples: int, sampling: SamplingOptions, rows: int
) -> dict[tuple[int, int], Drawn]:
    """Every sample of every job, by (job's index, sample's number); `rows` at a time, or one job's.

    `jobs`: the shortest prompts first. Raises EvaluationError where a sliding window would forget
    what was said: the masks here know of none.
    """
    window, most = window_of(slm.module), max(len(job.tokens) + job.limit for job in jobs)
    if window and most > window:
        raise EvaluationError(
            f"this model's attention reaches {window} tokens back, a prompt and its continuation "
            f"have up to {most}; ask for shorter ones"
        )
    found: dict[tuple[int, int], Drawn] = {}
    for batch in _batches(jobs, num_samples, rows):
        drawn = _sample(slm, batch, num_samples, sampling)
        for row, one in enumerate(drawn):
            found[batch[row // num_samples].index, row % num_samples] = one
    return found


def _batches(jobs: list[Job], num_samples: int, rows: int) -> list[list[Job]]:
    """Prompts of similar length together, as many as `rows` and the cache budget allow."""
    batches: list[list[Job]] = []
    steps = max(job.limit for job in jobs)
    for job in jobs:
        most = min(rows, TOKENS_PER_BATCH // (len(job.tokens) + steps))
        if batches and (len(batches[-1]) + 1) * num_samples <= most:
            batches[-1].append(job)
        else:
            batches.append([job])
    return batches


def _sample(
    slm: TwistLM, jobs: list[Job], num_samples: int, sampling: SamplingOptions
) -> list[Drawn]:
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
    rules = rules_of(slm, sampling, logits.shape[-1])
    logits = logits.repeat_interleave(num_samples, 0)  # (R, V), R = P * num_samples
    cache.batch_repeat_interleave(num_samples)
    pads = pads.repeat_interleave(num_samples)
    visible = torch.arange(width, device=device)[None] >= pads[:, None]  # (R, width)
    blocked = _additive(visible, slm.module)[:, None, None]  # (R, 1, 1, width)
    random = torch.cat([uniforms(job.seed, num_samples, steps) for job in jobs]).to(device)
    limits = torch.tensor([job.limit for job in jobs], device=device).repeat_interleave(num_samples)
    seen = _seen(ids, pads[::num_samples], logits.shape[-1]).repeat_interleave(num_samples, 0)
    last = ids[:, -1].repeat_interleave(num_samples)
    # Who is in the cache, and who of them is still being written.
    rows = torch.arange(len(limits), device=device)
    live = torch.ones(len(limits), dtype=torch.bool, device=device)
    written = torch.full((len(limits), steps), -1, dtype=torch.int64, device=device)
    log_probs = torch.zeros(len(limits), dtype=torch.float64, device=device)
    ended = torch.zeros(len(limits), dtype=torch.bool, device=device)
    for step in range(steps):
        last, told = rules.choose(logits, random[rows, step], last, seen)
        stop = last == (-1 if rules.eos is None else rules.eos)
        log_probs[rows] += told.masked_fill(stop | ~live, 0.0)
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
        Drawn(row[row >= 0], float(value), bool(end))
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


def _seen(ids: torch.Tensor, pads: torch.Tensor, vocab_size: int) -> torch.Tensor:
    """Bool, shape (P, V): the tokens of each prompt."""
    real = torch.arange(ids.shape[1], device=ids.device)[None] >= pads[:, None]
    counts = torch.zeros(len(ids), vocab_size, dtype=torch.int64, device=ids.device)
    return counts.scatter_add_(1, ids, real.long()) > 0
