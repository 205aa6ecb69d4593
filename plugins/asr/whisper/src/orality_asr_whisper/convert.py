"""Turn a CTranslate2 Whisper folder into a transformers folder (float16 safetensors)."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orality import CheckpointError
from orality.checkpoints import read_json
from orality_asr_whisper.ctranslate import read_variables

Variables = dict[str, NDArray[Any]]


def convert(source: Path, target: Path) -> None:
    """Read `model.bin`, `config.json`, `tokenizer.json`; write the folder transformers loads.

    The 16 bit weights are copied bit by bit. CheckpointError when the file is quantized or is no
    Whisper.
    """
    from safetensors.numpy import save_file

    variables = read_variables(source / "model.bin")
    if any(values.dtype == np.int8 and values.ndim > 1 for values in variables.values()):
        raise CheckpointError(f"{source} is quantized to 8 bit; wanted a float16 or float32 model")
    missing = {"encoder/conv1/weight", "decoder/embeddings/weight"} - set(variables)
    if missing:
        raise CheckpointError(f"{source} is no Whisper model: it lacks {sorted(missing)}")
    tensors = {name: np.array(value, np.float16) for name, value in _tensors(variables)}
    save_file(tensors, str(target / "model.safetensors"), metadata={"format": "pt"})
    own = read_json(source / "config.json")
    vocabulary = read_json(source / "tokenizer.json")
    special = {token["content"]: token["id"] for token in vocabulary["added_tokens"]}
    _write(target / "config.json", _model_config(variables, special))
    _write(
        target / "generation_config.json",
        {
            "suppress_tokens": own.get("suppress_ids", []),
            "begin_suppress_tokens": own.get("suppress_ids_begin", []),
            "alignment_heads": own.get("alignment_heads", []),
            "eos_token_id": special["<|endoftext|>"],
            "decoder_start_token_id": special["<|startoftranscript|>"],
        },
    )
    shutil.copyfile(source / "tokenizer.json", target / "tokenizer.json")


def _model_config(variables: Variables, special: dict[str, int]) -> dict[str, Any]:
    width, mels, _ = variables["encoder/conv1/weight"].shape
    heads = int(variables["encoder/num_heads"])
    inner = variables["encoder/layer_0/ffn/linear_0/weight"].shape[0]
    end = special["<|endoftext|>"]
    return {
        "architectures": ["WhisperForConditionalGeneration"],
        "model_type": "whisper",
        "vocab_size": variables["decoder/embeddings/weight"].shape[0],
        "num_mel_bins": mels,
        "d_model": width,
        "encoder_layers": _layers(variables, "encoder"),
        "decoder_layers": _layers(variables, "decoder"),
        "encoder_attention_heads": heads,
        "decoder_attention_heads": int(variables.get("decoder/num_heads", np.array(heads))),
        "encoder_ffn_dim": inner,
        "decoder_ffn_dim": inner,
        "max_source_positions": variables["encoder/position_encodings/encodings"].shape[0],
        "max_target_positions": variables["decoder/position_encodings/encodings"].shape[0],
        "bos_token_id": end,
        "eos_token_id": end,
        "pad_token_id": end,
        "decoder_start_token_id": special["<|startoftranscript|>"],
        "dtype": "float16",
    }


def _layers(variables: Variables, side: str) -> int:
    return sum(
        name.startswith(f"{side}/layer_") and name.endswith("/ffn/linear_0/weight")
        for name in variables
    )


def _tensors(variables: Variables) -> Iterator[tuple[str, NDArray[Any]]]:
    """The tensors under their names in transformers; the output layer is tied, so left out."""

    def pair(new: str, old: str) -> Iterator[tuple[str, NDArray[Any]]]:
        scale, shift = ("gamma", "beta") if "layer_norm" in old else ("weight", "bias")
        yield f"{new}.weight", variables[f"{old}/{scale}"]
        yield f"{new}.bias", variables[f"{old}/{shift}"]

    def fused(new: str, old: str, parts: str) -> Iterator[tuple[str, NDArray[Any]]]:
        # CTranslate2 keeps query, key and value in one matrix and gives the key a zero bias.
        weights = np.split(variables[f"{old}/weight"], len(parts))
        biases = np.split(variables[f"{old}/bias"], len(parts))
        for part, weight, bias in zip(parts, weights, biases, strict=True):
            yield f"{new}.{part}_proj.weight", weight
            if part != "k":
                yield f"{new}.{part}_proj.bias", bias

    for side in ("encoder", "decoder"):
        for index in range(_layers(variables, side)):
            new, old = f"model.{side}.layers.{index}", f"{side}/layer_{index}"
            yield from pair(f"{new}.self_attn_layer_norm", f"{old}/self_attention/layer_norm")
            yield from fused(f"{new}.self_attn", f"{old}/self_attention/linear_0", "qkv")
            yield from pair(f"{new}.self_attn.out_proj", f"{old}/self_attention/linear_1")
            if side == "decoder":
                yield from pair(f"{new}.encoder_attn_layer_norm", f"{old}/attention/layer_norm")
                yield from pair(f"{new}.encoder_attn.q_proj", f"{old}/attention/linear_0")
                yield from fused(f"{new}.encoder_attn", f"{old}/attention/linear_1", "kv")
                yield from pair(f"{new}.encoder_attn.out_proj", f"{old}/attention/linear_2")
            yield from pair(f"{new}.final_layer_norm", f"{old}/ffn/layer_norm")
            yield from pair(f"{new}.fc1", f"{old}/ffn/linear_0")
            yield from pair(f"{new}.fc2", f"{old}/ffn/linear_1")
        yield from pair(f"model.{side}.layer_norm", f"{side}/layer_norm")
        positions = variables[f"{side}/position_encodings/encodings"]
        yield f"model.{side}.embed_positions.weight", positions
    yield from pair("model.encoder.conv1", "encoder/conv1")
    yield from pair("model.encoder.conv2", "encoder/conv2")
    yield "model.decoder.embed_tokens.weight", variables["decoder/embeddings/weight"]


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n")
