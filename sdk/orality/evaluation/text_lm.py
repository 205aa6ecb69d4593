"""How likely a causal text model finds what was said, given its prompt or not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from orality.checkpoints import check_loaded
from orality.errors import CheckpointError, EvaluationError
from orality.text.joint_text import joint_ids

Nll = tuple[float, int]
"""The negative log-likelihood of a text in nats, and how many tokens it is the sum over."""
MeasureTexts = Callable[[Sequence[str], Sequence[str] | None], list[Nll]]


def text_nlls(
    texts: Sequence[str],
    folder: str | Path,
    *,
    prompts: Sequence[str] | None = None,
    device: str = "cpu",
) -> list[Nll]:
    """Sums over each text's tokens, given the model's start token and, if there is one, the prompt.

    `folder`: a causal language model as transformers stores it, with safetensors. Texts are
    tokenized together with their prompts, see `joint_ids`. A text without tokens has (0.0, 0).
    Raises CheckpointError where there is no such model, EvaluationError where the numbers of texts
    and prompts differ or a text does not fit the model.
    """
    return load_text_lm(folder, device=device)(texts, prompts)


def load_text_lm(folder: str | Path, *, device: str = "cpu") -> MeasureTexts:
    """The model, ready to measure texts (and their prompts, or None)."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
        model: Any
        model, report = AutoModelForCausalLM.from_pretrained(
            folder,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
        )
    except Exception as error:
        raise CheckpointError(
            f"{folder} cannot be read as a causal language model with its tokenizer: {error}; give "
            "a local folder with safetensors"
        ) from error
    check_loaded(folder, report)
    model = model.eval().requires_grad_(False).to(device)
    start = tokenizer.bos_token_id
    start = tokenizer.eos_token_id if start is None else start
    if start is None:
        raise CheckpointError(f"{folder}: the tokenizer has neither a start nor an end token")
    longest = int(getattr(model.config, "max_position_embeddings", 0) or 2**31)

    def measure(texts: Sequence[str], prompts: Sequence[str] | None) -> list[Nll]:
        if prompts is not None and len(prompts) != len(texts):
            raise EvaluationError(f"got {len(prompts)} prompts for {len(texts)} texts")
        found = []
        for place, text in enumerate(texts):
            given, own = joint_ids(tokenizer, "" if prompts is None else prompts[place], text)
            before = [start, *given]
            if len(before) + len(own) > longest:
                raise EvaluationError(
                    f"text {place} and its prompt have {len(before) + len(own)} tokens, the model "
                    f"holds {longest}"
                )
            found.append(_nll(model, before, own) if own else (0.0, 0))
        return found

    return measure


@torch.inference_mode()
def _nll(model: Any, before: Sequence[int], own: Sequence[int]) -> Nll:
    row = torch.tensor([[*before, *own]], device=model.device)
    logits = model(input_ids=row, use_cache=False).logits[0, len(before) - 1 : -1]
    log_probs = logits.float().log_softmax(-1).gather(-1, row[0, len(before) :, None])
    return -float(log_probs.double().sum()), len(own)
