"""The unit language model as a folder: new, from a text model's body, and on disk."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig, OPTConfig

from orality.errors import CheckpointError
from orality.pretraining.unit_lm.data import BOS, EOS, OFFSET, PAD
from orality.store.folders import whole_folder
from orality.types import UnitSpec


def cold_unit_lm(
    unit_spec: UnitSpec,
    *,
    hidden_size: int,
    layers: int,
    context_length: int,
    dropout: float = 0.0,
) -> Any:
    """A new OPT model over the units, with random weights.

    Position embeddings begin as sinusoids (Vaswani et al., 2017): neighbours are then similar from
    the first step on, which a small model otherwise spends much of its training on.
    """
    config = OPTConfig(
        vocab_size=unit_spec.vocab_size + OFFSET,
        hidden_size=hidden_size,
        word_embed_proj_dim=hidden_size,
        ffn_dim=4 * hidden_size,
        num_hidden_layers=layers,
        num_attention_heads=max(1, hidden_size // 64),
        max_position_embeddings=context_length,
        dropout=dropout,
        attention_dropout=0.0,
        do_layer_norm_before=True,
        pad_token_id=PAD,
        bos_token_id=BOS,
        eos_token_id=EOS,
    )
    config.offset = OFFSET
    module: Any = AutoModelForCausalLM.from_config(
        config, dtype=torch.float32, trust_remote_code=False
    )
    table = module.model.decoder.embed_positions.weight
    with torch.no_grad():
        table.copy_(0.02 * math.sqrt(2) * _sinusoids(*table.shape))
    return module


def warm_unit_lm(folder: Path, unit_spec: UnitSpec) -> Any:
    """A text model's body under new embeddings for the units (TWIST's warm start)."""
    try:
        text = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, local_files_only=True, trust_remote_code=False
        )
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{folder} is no causal language model: {error}") from error
    config.vocab_size = unit_spec.vocab_size + OFFSET
    config.pad_token_id, config.bos_token_id, config.eos_token_id = PAD, BOS, EOS
    config.offset = OFFSET
    module: Any = AutoModelForCausalLM.from_config(
        config, dtype=torch.float32, trust_remote_code=False
    )
    new = {id(module.get_input_embeddings().weight), id(module.get_output_embeddings().weight)}
    # both names of tied embeddings: the text model's state holds them under either
    named = module.named_parameters(remove_duplicate=False)
    fresh = {name for name, weight in named if id(weight) in new}
    body = {name: weight for name, weight in text.state_dict().items() if name not in fresh}
    _, unexpected = module.load_state_dict(body, strict=False)
    if unexpected:
        raise CheckpointError(f"{folder}: {unexpected[0]} has no place in the unit model")
    return module


def write_unit_lm(module: Any, folder: Path, unit_spec: UnitSpec) -> None:
    """Write the model as a TWIST folder with units.json, weights in float16, at once."""
    config = type(module.config).from_dict(module.config.to_dict())
    tensors = {name: weight.detach().half() for name, weight in module.state_dict().items()}
    copy: Any = AutoModelForCausalLM.from_config(
        config, dtype=torch.float16, trust_remote_code=False
    )
    copy.load_state_dict(tensors)
    copy.generation_config = GenerationConfig(bos_token_id=BOS, eos_token_id=EOS, pad_token_id=PAD)
    text = json.dumps(asdict(unit_spec), indent=2) + "\n"
    with whole_folder(folder) as partial:
        copy.save_pretrained(partial)
        (partial / "units.json").write_text(text, encoding="utf-8")


def _sinusoids(count: int, width: int) -> torch.Tensor:
    angles = torch.arange(count)[:, None] * torch.exp(
        torch.arange(0, width, 2) * (-math.log(10_000.0) / width)
    )
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(1)[:, :width]
