"""The spoken language model: units in, log-likelihoods and sampled continuations out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from orality import CompatibilityError, EvaluationError, Sample, SamplingOptions, Units, UnitSpec
from orality_slm_twist.generation import DEFAULTS, Running, generate
from orality_slm_twist.scoring import sum_log_probs

if TYPE_CHECKING:
    from orality_slm_twist.on_vllm import Writer

_LINEAR_LAYERS = (
    ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"),  # OPT
    ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),  # Llama, Qwen
    ("c_attn", "c_proj", "c_fc"),  # GPT-2, whose layers are Conv1D
)


class TwistLM:
    """A causal language model over units; token id = unit id + `offset`.

    `bos`, `eos`: special token ids, or None. `mask_repeats`: sampling never emits the same unit
    twice in a row. The module is taken as it is: device, dtype and all.
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        unit_spec: UnitSpec,
        offset: int,
        bos: int | None = None,
        eos: int | None = None,
        context_length: int = 2048,
        mask_repeats: bool = False,
        lora_targets: Sequence[str] | None = None,
        running: Running = DEFAULTS,
    ) -> None:
        self._module = module
        self._unit_spec = unit_spec
        self._context_length = context_length
        self._lora_targets = list(lora_targets or _linear_layers(module))
        self.offset = offset
        self.bos = bos
        self.eos = eos
        self.mask_repeats = mask_repeats
        self.running = running
        self._write_on_vllm: Writer | None = None  # started when it is first needed

    @property
    def unit_spec(self) -> UnitSpec:
        """What its units mean."""
        return self._unit_spec

    @property
    def context_length(self) -> int:
        """The longest sequence it can hold, in tokens."""
        return self._context_length

    @property
    def module(self) -> nn.Module:
        """The transformers model, or whatever `with_module` put in its place."""
        return self._module

    @property
    def lora_targets(self) -> list[str]:
        """Names of the attention and feed-forward projections."""
        return list(self._lora_targets)

    def with_module(self, module: nn.Module) -> TwistLM:
        """The same model around another module (the old one with an adapter, say)."""
        return TwistLM(
            module,
            unit_spec=self._unit_spec,
            offset=self.offset,
            bos=self.bos,
            eos=self.eos,
            context_length=self._context_length,
            mask_repeats=self.mask_repeats,
            lora_targets=self._lora_targets,
            running=self.running,
        )

    def to_input_ids(self, units: Units) -> torch.Tensor:
        """Unit ids shifted by the offset: int64, shape (length,).

        Raises CompatibilityError for ids that the codebook does not have.
        """
        ids = np.asarray(units.ids)
        if ids.ndim != 1:
            raise CompatibilityError([f"units: wanted one id per unit, got shape {ids.shape}"])
        if ids.size and ids.dtype.kind not in "iu":
            raise CompatibilityError([f"units: ids must be integers, got {ids.dtype}"])
        size = self._unit_spec.vocab_size
        if ids.size and (ids.min() < 0 or ids.max() >= size):
            bad = int(ids[(ids < 0) | (ids >= size)][0])
            name = self._unit_spec.codebook
            raise CompatibilityError(
                [f"units: got id {bad}, the codebook {name!r} has ids 0 to {size - 1}"]
            )
        return torch.from_numpy(ids.astype(np.int64) + self.offset)

    def to_units(self, input_ids: torch.Tensor) -> Units:
        """Token ids, shape (length,), back to units; everything that is no unit is dropped."""
        ids = input_ids.detach().to("cpu", torch.int64).numpy() - self.offset
        return Units(ids=ids[(ids >= 0) & (ids < self._unit_spec.vocab_size)])

    def generate(
        self,
        prompts: Sequence[Units],
        *,
        num_samples: int,
        max_new_units: int,
        sampling: SamplingOptions,
        seeds: Sequence[int],
    ) -> list[list[Sample]]:
        """Draw `num_samples` continuations of each prompt, at most `max_new_units` long.

        No BOS is put in front (TWIST has none), except where a prompt is empty. A temperature of
        0 takes the most likely unit. A prompt's samples depend on its own seed, not on its batch.
        Less than `max_new_units` come where the context is full. Raises CompatibilityError for
        units the model does not have and EvaluationError for a prompt that fills the context.
        """
        return generate(
            self, prompts, num_samples=num_samples, max_new_units=max_new_units,
            sampling=sampling, seeds=seeds,
        )  # fmt: skip

    def vllm_writer(self) -> Writer:
        """What writes on vLLM, with the weights of the first call; see `on_vllm`."""
        if self._write_on_vllm is None:
            from orality_slm_twist.on_vllm import vllm_writer

            self._write_on_vllm = vllm_writer(self)
        return self._write_on_vllm

    def log_likelihood(self, batch: Sequence[Units], *, convention: str = "no_bos") -> list[float]:
        """Sum of log-probabilities in nats, one per item, full-vocabulary softmax.

        `no_bos`: units 2..T given those before (a single unit scores 0). `bos_eos`: also the
        first unit given BOS and the final EOS. Raises EvaluationError when the model has no BOS
        or EOS, or an item is longer than the context.
        """
        rows = [self.scored_ids(units, convention=convention) for units in batch]
        too_long = [len(row) for row in rows if len(row) > self._context_length]
        if too_long:
            raise EvaluationError(
                f"{len(too_long)} of {len(rows)} items do not fit the context: the longest has "
                f"{max(too_long)} tokens, the model holds {self._context_length}"
            )
        return sum_log_probs(self._module, rows)

    def scored_ids(self, units: Units, *, convention: str = "no_bos") -> torch.Tensor:
        """Token ids of which `log_likelihood` scores all but the first: int64, shape (length,)."""
        if convention not in ("no_bos", "bos_eos"):
            raise EvaluationError(f"convention {convention!r} is neither 'no_bos' nor 'bos_eos'")
        ids = self.to_input_ids(units)
        return ids if convention == "no_bos" else torch.cat([self._ends()[0], ids, self._ends()[1]])

    def _ends(self) -> tuple[torch.Tensor, torch.Tensor]:
        if self.bos is None or self.eos is None:
            raise EvaluationError(
                "this model has no BOS and EOS outside its units; use convention 'no_bos'"
            )
        return torch.tensor([self.bos]), torch.tensor([self.eos])


def _linear_layers(module: nn.Module) -> list[str]:
    """The last parts of linear layers' names, but for the one that gives the logits."""
    outputs = getattr(module, "get_output_embeddings", lambda: None)()
    names = {
        name.rsplit(".", 1)[-1]
        for name, part in module.named_modules()
        if isinstance(part, nn.Linear | Conv1D) and part is not outputs
    }
    for known in _LINEAR_LAYERS:
        if names.issuperset(known):
            return list(known)
    return sorted(names - {"lm_head", "project_in", "project_out"})
