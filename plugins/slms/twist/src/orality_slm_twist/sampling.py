"""Drawing one token per row from logits and one uniform number per row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from orality import EvaluationError, SamplingOptions

if TYPE_CHECKING:
    from orality_slm_twist.slm import TwistLM


def uniforms(seed: int, num_samples: int, count: int, *, first: int = 0) -> torch.Tensor:
    """The random numbers of one prompt: float64 in [0, 1), shape (num_samples, count).

    Sample k's numbers depend on (seed, k) alone, and its first n numbers not on `count`. `first`:
    the k to begin with.
    """
    rows = [
        np.random.default_rng([abs(seed), int(seed < 0), k]).random(count)
        for k in range(first, first + num_samples)
    ]
    return torch.from_numpy(np.stack(rows)) if rows else torch.empty(0, count, dtype=torch.float64)


def check(sampling: SamplingOptions) -> None:
    """Raise EvaluationError for options that mean nothing."""
    if sampling.temperature < 0:
        raise EvaluationError(f"temperature must be 0 (greedy) or more, got {sampling.temperature}")
    if not 0 < sampling.top_p <= 1:
        raise EvaluationError(f"top_p must be in (0, 1], got {sampling.top_p}")
    if sampling.top_k < 0:
        raise EvaluationError(f"top_k must be 0 (off) or more, got {sampling.top_k}")
    if sampling.repetition_penalty <= 0:
        raise EvaluationError(
            f"repetition_penalty must be above 0 (1 is off), got {sampling.repetition_penalty}"
        )


def draw(
    logits: torch.Tensor,
    uniform: torch.Tensor,
    sampling: SamplingOptions,
    *,
    seen: torch.Tensor | None = None,
) -> torch.Tensor:
    """One token id per row, shape (R,), by inverting the filtered distribution's CDF.

    `logits`: float32, shape (R, V), forbidden tokens at -inf. `uniform`: shape (R,), in [0, 1).
    `seen`: bool, shape (R, V), tokens that the repetition penalty (Keskar et al., 2019) reaches.
    The order is the usual one: penalty, temperature, top-k, nucleus (Holtzman et al., 2020).
    """
    if sampling.repetition_penalty != 1.0 and seen is not None:
        by = sampling.repetition_penalty
        logits = torch.where(seen, torch.where(logits > 0, logits / by, logits * by), logits)
    if sampling.temperature == 0 or sampling.top_k == 1:
        return logits.argmax(-1)
    scores = logits.double() / sampling.temperature
    if 0 < sampling.top_k < scores.shape[-1]:
        least = scores.topk(sampling.top_k, dim=-1).values[:, -1:]
        scores = scores.masked_fill(scores < least, -torch.inf)
    probs = scores.softmax(-1)
    if sampling.top_p < 1.0:
        ordered, order = probs.sort(dim=-1, descending=True, stable=True)
        before = ordered.cumsum(-1) - ordered  # mass of the more likely tokens
        kept = ordered.masked_fill_(before >= sampling.top_p, 0.0)
        probs = torch.empty_like(probs).scatter_(-1, order, kept)
    mass = probs.cumsum(-1)
    whole = mass[:, -1:]
    # A uniform number next to 1 may round up to the whole mass, which no token exceeds.
    target = torch.minimum(uniform.unsqueeze(-1) * whole, whole.nextafter(torch.zeros_like(whole)))
    return torch.searchsorted(mass, target, right=True).squeeze(-1)


def rules_of(slm: TwistLM, sampling: SamplingOptions, vocabulary: int) -> Rules:
    """The units and EOS may be drawn; no other special token is."""
    forbidden = torch.full((vocabulary,), -torch.inf, device=next(slm.module.parameters()).device)
    forbidden[slm.offset : slm.offset + slm.unit_spec.vocab_size] = 0.0
    if slm.eos is not None:
        forbidden[slm.eos] = 0.0
    return Rules(sampling, forbidden, slm.mask_repeats, slm.eos)


@dataclass(frozen=True, slots=True)
class Rules:
    """What may be drawn, and how. `forbidden`: 0 or -inf for each token, shape (V,)."""

    sampling: SamplingOptions
    forbidden: torch.Tensor
    mask_repeats: bool
    eos: int | None

    def choose(
        self,
        logits: torch.Tensor,
        uniform: torch.Tensor,
        last: torch.Tensor,
        seen: torch.Tensor | None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """A token per row and its log-probability under the plain softmax, both (R,).

        `logits`: (R, V) as the model gave them. `last`: each row's token before, (R,).
        """
        scores = logits.float()
        choices = scores + self.forbidden
        if self.mask_repeats:
            choices.scatter_(1, last[:, None], -torch.inf)
        tokens = draw(choices, uniform, self.sampling, seen=seen)
        told = scores.log_softmax(-1).gather(1, tokens[:, None])[:, 0].double()
        return tokens, told
