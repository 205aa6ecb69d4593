"""A language model over toy units: a small OPT with random weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn
from transformers import OPTConfig, OPTForCausalLM

from orality.testing.toy import CONTEXT_LENGTH, UNIT_SPEC
from orality.types import Sample, SamplingOptions, Units, UnitSpec

OFFSET = 2  # ids 0 and 1 are padding and the start of a sequence
START = 1


def random_slm(seed: int = 0) -> ToySLM:
    """A model whose weights depend on `seed` alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = OPTForCausalLM(
            OPTConfig(
                vocab_size=UNIT_SPEC.vocab_size + OFFSET,
                hidden_size=32,
                word_embed_proj_dim=32,
                num_hidden_layers=2,
                num_attention_heads=2,
                ffn_dim=64,
                max_position_embeddings=CONTEXT_LENGTH,
                dropout=0.0,
                pad_token_id=0,
                bos_token_id=START,
                eos_token_id=None,
            )
        )
    return ToySLM(model.eval())


class ToySLM:
    """Draws one prompt at a time, without a cache: slow, short, and easy to check."""

    unit_spec: UnitSpec = UNIT_SPEC
    context_length = CONTEXT_LENGTH
    lora_targets: list[str] = ["q_proj", "v_proj"]  # noqa: RUF012 (a protocol member)

    def __init__(self, module: nn.Module) -> None:
        self.module = module

    def with_module(self, module: nn.Module) -> ToySLM:
        """The same model around another module."""
        return ToySLM(module)

    def to_input_ids(self, units: Units) -> torch.Tensor:
        """Shape (length,)."""
        return torch.from_numpy(units.ids + OFFSET)

    def to_units(self, input_ids: torch.Tensor) -> Units:
        """Drops what is no unit."""
        ids = input_ids[input_ids >= OFFSET] - OFFSET
        return Units(ids.cpu().numpy().astype(np.int64))

    @torch.no_grad()
    def generate(
        self,
        prompts: Sequence[Units],
        *,
        num_samples: int,
        max_new_units: int,
        sampling: SamplingOptions,
        seeds: Sequence[int],
    ) -> list[list[Sample]]:
        """Plain temperature sampling; nucleus and top-k are ignored."""
        return [
            [
                self._draw(prompt, max_new_units, sampling, seed * 1000 + index)
                for index in range(num_samples)
            ]
            for prompt, seed in zip(prompts, seeds, strict=True)
        ]

    def _draw(
        self, prompt: Units, max_new_units: int, sampling: SamplingOptions, seed: int
    ) -> Sample:
        generator = torch.Generator().manual_seed(seed)
        ids = self.to_input_ids(prompt)[None]  # (1, length)
        start, log_prob = ids.shape[1], 0.0
        for _ in range(max_new_units):
            logits = self.module(input_ids=ids).logits[0, -1].float()
            allowed = logits / sampling.temperature
            allowed[:OFFSET] = -torch.inf
            allowed[ids[0, -1]] = -torch.inf  # de-duplicated units never repeat
            drawn = torch.multinomial(allowed.softmax(-1), 1, generator=generator)
            log_prob += float(logits.log_softmax(-1)[drawn])
            ids = torch.cat([ids, drawn[None]], dim=1)
        return Sample(self.to_units(ids[0, start:]), log_prob)

    @torch.no_grad()
    def log_likelihood(self, batch: Sequence[Units], *, convention: str = "no_bos") -> list[float]:
        """Sums in nats; both conventions, the start token standing in for BOS and EOS."""
        sums = []
        for units in batch:
            ids = self.scored_ids(units, convention=convention)
            if len(ids) < 2:
                sums.append(0.0)
                continue
            log_probs = self.module(input_ids=ids[None]).logits[0, :-1].float().log_softmax(-1)
            sums.append(float(log_probs.gather(1, ids[1:, None]).sum()))
        return sums

    def scored_ids(self, units: Units, *, convention: str = "no_bos") -> torch.Tensor:
        """What `log_likelihood` reads, the first of which it does not score."""
        ids = self.to_input_ids(units)
        if convention == "no_bos":
            return ids
        mark = torch.tensor([START])
        return torch.cat([mark, ids, mark])
