"""Sampling on vLLM, for GPU clusters that have it: the same rules, other random numbers.

Written against vLLM 0.33's documentation and source; `vllm` is no dependency of this package.
"""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import PreTrainedModel

from orality import EvaluationError, PluginError, SamplingOptions
from orality_slm_twist.jobs import Drawn, Job

if TYPE_CHECKING:
    from orality_slm_twist.slm import TwistLM

Writer = Callable[[list[Job], int, SamplingOptions], dict[tuple[int, int], Drawn]]


def vllm_writer(slm: TwistLM) -> Writer:
    """Start vLLM on the model's weights of this moment.

    Raises PluginError without vLLM, and EvaluationError for a model that it could not
    run as the other engines do.
    """
    _check(slm)
    try:
        vllm = importlib.import_module("vllm")
    except ImportError as error:
        raise PluginError(
            f"engine 'vllm' needs vLLM ({error}): pip install vllm, in an environment of its own "
            "where its torch is another; 'auto' needs nothing more"
        ) from error
    module: Any = slm.module
    # It reads what it needs before the constructor returns, so the folder may go then.
    with tempfile.TemporaryDirectory(prefix="orality-vllm-") as folder:
        module.save_pretrained(folder)
        llm = vllm.LLM(
            model=folder,
            skip_tokenizer_init=True,  # a folder of units has no tokenizer
            dtype=str(next(module.parameters()).dtype).removeprefix("torch."),
            max_model_len=slm.context_length,
            enable_prefix_caching=True,  # one prefill for all samples of a prompt
            logprobs_mode="raw_logprobs",  # before masks, temperature and filters
            generation_config="vllm",
        )

    def write(
        jobs: list[Job], num_samples: int, sampling: SamplingOptions
    ) -> dict[tuple[int, int], Drawn]:
        if sampling.temperature and not 0.01 <= sampling.temperature <= 2:
            raise EvaluationError(
                f"vLLM takes a temperature of 0 or of 0.01 to 2, got {sampling.temperature}"
            )
        asked = [(job, number) for job in jobs for number in range(num_samples)]
        outputs = llm.generate(
            [{"prompt_token_ids": job.tokens.tolist()} for job, _ in asked],
            [vllm.SamplingParams(**_params(slm, job, number, sampling)) for job, number in asked],
            use_tqdm=False,
        )
        return {
            (job.index, number): _drawn(slm, output.outputs[0])
            for (job, number), output in zip(asked, outputs, strict=True)
        }

    return write


def _check(slm: TwistLM) -> None:
    if slm.mask_repeats:
        raise EvaluationError(
            "engine 'vllm' has no way to keep a unit from following itself, which this model's "
            "de-duplicated units ask for; set `mask_repeats: false`, or take engine 'auto'"
        )
    if not isinstance(slm.module, PreTrainedModel) or hasattr(slm.module, "peft_config"):
        raise EvaluationError(
            f"engine 'vllm' reads a plain transformers model, got {type(slm.module).__name__}; "
            "merge its adapter first (peft's merge_and_unload)"
        )


def _params(slm: TwistLM, job: Job, number: int, sampling: SamplingOptions) -> dict[str, Any]:
    """A request's settings, named as vLLM's SamplingParams names them."""
    first, size = slm.offset, slm.unit_spec.vocab_size
    ends = [] if slm.eos is None else [slm.eos]
    entropy = np.random.SeedSequence([abs(job.seed), int(job.seed < 0), number])
    return {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "repetition_penalty": sampling.repetition_penalty,
        "seed": int(entropy.generate_state(1)[0]),
        "max_tokens": job.limit,
        "allowed_token_ids": [*range(first, first + size), *ends],
        "stop_token_ids": ends,
        "ignore_eos": True,  # the config's EOS may be a unit in truth; ours is in stop_token_ids
        "logprobs": 0,  # of the drawn token alone
        "detokenize": False,
    }


def _drawn(slm: TwistLM, output: Any) -> Drawn:
    tokens: Sequence[int] = output.token_ids
    told = [step[token].logprob for token, step in zip(tokens, output.logprobs, strict=True)]
    ended = bool(tokens) and tokens[-1] == slm.eos
    if ended:
        tokens, told = tokens[:-1], told[:-1]
    return Drawn(torch.tensor(list(tokens), dtype=torch.int64), float(sum(told)), ended)
