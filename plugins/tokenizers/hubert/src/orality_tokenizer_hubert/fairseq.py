"""fairseq's HuBERT checkpoints: the official container, read without fairseq and without pickle."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import torch
from transformers import HubertConfig

from orality import CheckpointError

_TRAINING_ONLY = re.compile(r"^(label_embs_concat|final_proj\..*)$")
_RENAMES = (
    (r"^feature_extractor\.conv_layers\.(\d+)\.0\.", r"feature_extractor.conv_layers.\1.conv."),
    (
        r"^feature_extractor\.conv_layers\.(\d+)\.2\.(?:1\.)?",
        r"feature_extractor.conv_layers.\1.layer_norm.",
    ),
    (r"^layer_norm\.", "feature_projection.layer_norm."),
    (r"^post_extract_proj\.", "feature_projection.projection."),
    (r"^mask_emb$", "masked_spec_embed"),
    (r"\.self_attn\.", ".attention."),
    (r"\.self_attn_layer_norm\.", ".layer_norm."),
    (r"\.fc1\.", ".feed_forward.intermediate_dense."),
    (r"\.fc2\.", ".feed_forward.output_dense."),
)
_NORMED = (
    (r"^encoder\.pos_conv\.0\.", "encoder.pos_conv_embed.batch_norm."),
    (r"^encoder\.pos_conv\.1\.", "encoder.pos_conv_embed.conv."),
)
_PLAIN = ((r"^encoder\.pos_conv\.0\.", "encoder.pos_conv_embed.conv."),)


class _Ignored:
    """Stands in for fairseq's Dictionary and the like: takes its state, has no code."""

    def __setstate__(self, state: Any) -> None:
        pass


def read_fairseq(path: Path) -> tuple[HubertConfig, dict[str, torch.Tensor], bool]:
    """(config, state under transformers' names, whether it wants normalized input).

    Raises CheckpointError when the file is no fairseq HuBERT or names classes beyond the known.
    """
    known: list[Any] = [
        (_Ignored, "fairseq.data.dictionary.Dictionary"),
        (_Ignored, "argparse.Namespace"),
    ]
    try:
        with torch.serialization.safe_globals(known):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises many kinds for a damaged or hostile file
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"{path} is no readable fairseq checkpoint: {reason}") from error
    model = content.get("cfg", {}).get("model") if isinstance(content, dict) else None
    state = content.get("model") if isinstance(content, dict) else None
    if not isinstance(model, dict) or not isinstance(state, dict):
        raise CheckpointError(f"{path} is no fairseq HuBERT: it has no 'cfg' or no 'model'")
    task = content["cfg"].get("task") or {}
    try:
        config = _config(model, state)
    except (KeyError, ValueError, TypeError) as error:
        raise CheckpointError(f"{path}: its configuration cannot be read: {error}") from error
    renames = (*_RENAMES, *(_NORMED if config.conv_pos_batch_norm else _PLAIN))
    renamed: dict[str, torch.Tensor] = {}
    for name, value in state.items():
        if _TRAINING_ONLY.match(name):
            continue
        for pattern, replacement in renames:
            name = re.sub(pattern, replacement, name)
        renamed[name] = value
    return config, renamed, bool(task.get("normalize", False))


def conv_layers(expression: str) -> list[tuple[int, int, int]]:
    """`[(512,10,5)] + [(512,3,2)] * 4` as a list, by arithmetic on lists alone: nothing is run."""

    def value(node: ast.expr) -> Any:
        match node:
            case ast.Constant(value=int(number)):
                return number
            case ast.List(elts=items):
                return [value(item) for item in items]
            case ast.Tuple(elts=items):
                return tuple(value(item) for item in items)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return value(left) + value(right)
            case ast.BinOp(left=left, op=ast.Mult(), right=right):
                first, second = value(left), value(right)
                count = second if isinstance(first, list) else first
                if not isinstance(count, int) or count > 64:
                    raise ValueError(f"repeats a list {count!r} times")
                return first * second
        raise ValueError(f"holds {type(node).__name__}")

    try:
        layers = value(ast.parse(expression.strip(), mode="eval").body)
        return [(int(dim), int(kernel), int(stride)) for dim, kernel, stride in layers]
    except (SyntaxError, ValueError, TypeError, RecursionError) as error:
        raise CheckpointError(f"conv_feature_layers {expression!r}: {error}") from error


def _config(model: dict[str, Any], state: dict[str, Any]) -> HubertConfig:
    layers = conv_layers(str(model["conv_feature_layers"]))
    return HubertConfig(
        hidden_size=int(model["encoder_embed_dim"]),
        num_hidden_layers=int(model["encoder_layers"]),
        num_attention_heads=int(model["encoder_attention_heads"]),
        intermediate_size=int(model["encoder_ffn_embed_dim"]),
        hidden_act=str(model.get("activation_fn", "gelu")),
        conv_dim=[dim for dim, _, _ in layers],
        conv_kernel=[kernel for _, kernel, _ in layers],
        conv_stride=[stride for _, _, stride in layers],
        conv_bias=bool(model.get("conv_bias", False)),
        feat_extract_norm="layer" if model.get("extractor_mode") == "layer_norm" else "group",
        do_stable_layer_norm=bool(model.get("layer_norm_first", False)),
        num_conv_pos_embeddings=int(model.get("conv_pos", 128)),
        num_conv_pos_embedding_groups=int(model.get("conv_pos_groups", 16)),
        # what the tensors say counts: older configurations lack the key
        conv_pos_batch_norm="encoder.pos_conv.0.running_mean" in state,
        apply_spec_augment=False,
    )
