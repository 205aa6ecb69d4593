"""Self-supervised encoders up to one layer: built strictly, nothing above the layer kept."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize
from transformers import (
    HubertConfig,
    HubertModel,
    Wav2Vec2BertConfig,
    Wav2Vec2BertModel,
    Wav2Vec2Config,
    Wav2Vec2Model,
    WavLMConfig,
    WavLMModel,
)

from orality import CheckpointError
from orality.checkpoints import check_size
from orality_tokenizer_hubert.folder import receptive_field
from orality_tokenizer_hubert.mel import HOP, WINDOW, mel_features
from orality_tokenizer_hubert.packing import pack
from orality_tokenizer_hubert.weights import State

CLASSES: Mapping[str, tuple[Any, Any]] = {
    "hubert": (HubertConfig, HubertModel),
    "wavlm": (WavLMConfig, WavLMModel),
    "wav2vec2": (Wav2Vec2Config, Wav2Vec2Model),
    "wav2vec2-bert": (Wav2Vec2BertConfig, Wav2Vec2BertModel),
}
# What pre-training, CTC, classification and speaker models have beside their encoder.
_HEADS = re.compile(
    r"^(lm_head|quantizer|project_q|project_hid|projector|classifier|tdnn|feature_extractor"
    r"|objective)\.|^layer_weights$"
)
# Names that older checkpoints use for the tensors of the positional convolution.
_ALIASES = (
    (r"pos_conv_embed\.conv\.0\.", "pos_conv_embed.batch_norm."),
    (r"pos_conv_embed\.conv\.1\.", "pos_conv_embed.conv."),
    (r"pos_conv_embed\.conv\.weight_g$", "pos_conv_embed.conv.parametrizations.weight.original0"),
    (r"pos_conv_embed\.conv\.weight_v$", "pos_conv_embed.conv.parametrizations.weight.original1"),
)


@dataclass(frozen=True, slots=True, eq=False)
class Encoder:
    """`forward`: float32 (batch, samples) at 16 kHz to `hidden_states[layer]`, float32 (batch,
    frames, width). `field`: samples that one frame sees, the shortest recording that has one."""

    forward: Callable[[torch.Tensor], torch.Tensor]
    field: int


def read_encoder_config(content: Mapping[str, Any], path: Path) -> Any:
    """transformers' configuration; `content` is a config.json of one of CLASSES.

    Raises CheckpointError when it contradicts itself.
    """
    try:
        return CLASSES[content["model_type"]][0](**content)
    except Exception as error:  # strict configurations raise kinds of their own
        raise _unbuildable(path, error) from error


def build_encoder(
    config: Any, state: State, layer: int, path: Path, *, device: torch.device, mel_stride: int = 2
) -> Encoder:
    """The encoder with its weights, in float32, as much of it as `layer` needs.

    `layer` counts `hidden_states`: 0 is what the first block sees. The highest layer of a pre-norm
    model is taken after the final norm, as transformers 4 gave it (5 gives it in
    `last_hidden_state`); from a fairseq file before it, as fairseq's `output_layer` does. Raises
    CheckpointError when a tensor is missing, unknown or of another shape.
    """
    model_class = CLASSES[config.model_type][1]
    held, width = sum(value.numel() for value in state.values()), config.hidden_size
    check_size(path, wanted=config.num_hidden_layers * width**2, held=held)  # before it is listed
    try:
        with torch.device("meta"):
            wanted = sum(weight.numel() for weight in model_class(config).parameters())
        check_size(path, wanted=wanted, held=held)
        model = model_class(config)
    except (ValueError, TypeError, KeyError, RuntimeError) as error:
        raise _unbuildable(path, error) from error
    _fill(model, rename(state, model_class.base_model_prefix), path)
    _cut(model, layer, keep_norm=path.is_dir())
    model = model.eval().requires_grad_(False).to(device)
    if device.type == "cpu":
        pack(model)
    if config.model_type == "wav2vec2-bert":
        bins = config.feature_projection_input_dim // mel_stride

        def from_mel(samples: torch.Tensor) -> torch.Tensor:
            features = mel_features(samples, bins=bins, stride=mel_stride)
            return _hidden(model(features.to(device)))

        return Encoder(from_mel, WINDOW + (mel_stride - 1) * HOP)
    return Encoder(
        lambda samples: _hidden(model(samples)),
        receptive_field(config.conv_kernel, config.conv_stride),
    )


def rename(state: State, prefix: str) -> State:
    """The encoder's own tensors under today's names; `prefix` is what models with a head put first.

    Heads are left out only where that prefix tells encoder and head apart.
    """
    start = f"{prefix}."
    if any(name.startswith(start) for name in state):
        state = {
            name.removeprefix(start): value
            for name, value in state.items()
            if name.startswith(start) or not _HEADS.match(name)
        }
    renamed: State = {}
    for name, value in state.items():
        for pattern, replacement in _ALIASES:
            name = re.sub(pattern, replacement, name)
        renamed[name] = value
    return renamed


def _fill(model: nn.Module, state: State, path: Path) -> None:
    wanted = model.state_dict()
    name = "masked_spec_embed"  # used in training only; its presence follows the config
    if name not in wanted:
        state.pop(name, None)
    else:
        state.setdefault(name, wanted[name])
    missing, extra = sorted(set(wanted) - set(state)), sorted(set(state) - set(wanted))
    for what, names in (("lacks", missing), ("has unknown tensors", extra)):
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            raise CheckpointError(f"{path} {what}: {', '.join(names[:3])}{more}")
    try:
        model.load_state_dict({name: value.float() for name, value in state.items()})
    except RuntimeError as error:
        raise CheckpointError(f"{path} does not fit its config: {error}") from error


def _cut(model: Any, layer: int, *, keep_norm: bool) -> None:
    """Drop what `layer` does not need, and compute weight norm once instead of in each call."""
    blocks = model.encoder.layers
    model.encoder.layers = blocks[:layer]
    pre_norm = getattr(model.config, "do_stable_layer_norm", False)
    if pre_norm and (layer < len(blocks) or not keep_norm):
        # pre-norm models end in one more norm, which belongs to the last layer only
        model.encoder.layer_norm = nn.Identity()
    for part in ("adapter", "intermediate_ffn"):  # these come after the last layer
        if hasattr(model, part):
            setattr(model, part, None)
    for module in list(model.modules()):
        if parametrize.is_parametrized(module, "weight"):
            parametrize.remove_parametrizations(module, "weight")


def _hidden(output: Any) -> torch.Tensor:
    hidden: torch.Tensor = output.last_hidden_state
    return hidden


def _unbuildable(path: Path, error: Exception) -> CheckpointError:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    return CheckpointError(f"{path}: no encoder can be built from its config: {reason}")
