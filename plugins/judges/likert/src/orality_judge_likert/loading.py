"""From a folder to a judge: local files, no code but transformers' own, no pickle but tensors."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from orality import CheckpointError, fetch
from orality.checkpoints import read_json
from orality_judge_likert import LikertConfig
from orality_judge_likert.judge import LikertJudge
from orality_judge_likert.rubric import read_rubric

logger = logging.getLogger(__name__)


def load_judge(config: LikertConfig) -> LikertJudge:
    """Read the rubric, then model and tokenizer.

    Raises RecipeError for a rubric that cannot be used, CheckpointError for a folder that holds no
    language model with its tokenizer, PluginError for a tokenizer that cannot write single digits.
    """
    rubric = read_rubric(config.rubric)
    folder = fetch(config.checkpoint)
    device = config.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    model, tokenizer = _load(folder, getattr(torch, config.dtype))
    return LikertJudge(
        model.to(device).eval().requires_grad_(False),
        tokenizer,
        rubric=rubric,
        system=config.system,
        answer_prefix=config.answer_prefix,
        max_characters=config.max_characters,
        batch_tokens=config.batch_tokens,
        context=_context(model, tokenizer),
    )


def _load(folder: Path, dtype: torch.dtype) -> tuple[Any, Any]:
    # A .bin file is read by torch's weights_only unpickler, which runs no code.
    try:
        if "auto_map" in read_json(folder / "config.json"):
            logger.warning("%s brings code of its own, which is not run", folder)
        tokenizer = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
        model, info = AutoModelForCausalLM.from_pretrained(
            folder,
            local_files_only=True,
            trust_remote_code=False,
            dtype=dtype,
            output_loading_info=True,
        )
    except Exception as error:  # transformers raises many kinds for a damaged folder
        raise CheckpointError(f"{folder} holds no language model that can rate: {error}") from error
    lacking = sorted([*info["missing_keys"], *(str(key) for key in info["mismatched_keys"])])
    if lacking:
        raise CheckpointError(
            f"{folder} lacks {len(lacking)} of the model's tensors, {lacking[0]} for one; is the "
            "folder complete?"
        )
    rows = model.get_input_embeddings().weight.shape[0]
    if tokenizer.vocab_size > rows:
        raise CheckpointError(
            f"{folder}: the tokenizer has {tokenizer.vocab_size} tokens, the model {rows}; they "
            "do not belong together"
        )
    return model, tokenizer


def _context(model: Any, tokenizer: Any) -> int | None:
    """The shorter of what model and tokenizer state; a tokenizer without a limit says 10^30."""
    keys = ("max_position_embeddings", "n_positions", "max_seq_len")
    stated = [getattr(model.config, key, None) for key in keys] + [tokenizer.model_max_length]
    return min((n for n in stated if isinstance(n, int) and 0 < n < 10**9), default=None)
