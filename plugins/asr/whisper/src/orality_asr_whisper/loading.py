"""A transformers folder to a running Whisper: nothing missing, nothing left over, no pickle run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from orality import CheckpointError, fetch
from orality.checkpoints import read_json
from orality.models.cpu_linears import prepack
from orality_asr_whisper import WhisperConfig
from orality_asr_whisper.alignment import default_heads
from orality_asr_whisper.checkpoint import NAMES
from orality_asr_whisper.transcriber import Habits, WhisperTranscriber

_MULTILINGUAL_VOCABULARY = 51865  # and more
# Whisper's output layer is its embedding; some folders hold it twice.
_TIED = frozenset({"proj_out.weight"})


def load(config: WhisperConfig) -> WhisperTranscriber:
    """Read the checkpoint; CheckpointError when the folder is not a transformers Whisper.

    Weights: `model.safetensors` or `pytorch_model.bin`, whole or in shards; the latter only as
    far as torch's restricted unpickler reads it. Tokenizer: `tokenizer.json`, or `vocab.json` with
    `merges.txt`.
    """
    folder = fetch(NAMES.get(config.checkpoint, config.checkpoint))
    device = config.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    # Half precision is for the GPU: a CPU multiplies float16 some hundred times slower.
    dtype = torch.float16 if device.startswith("cuda") else torch.float32
    model = _model(folder, dtype)
    model = model.eval().requires_grad_(False).to(device)
    prepack(model.model.encoder)
    return WhisperTranscriber(model, _tokenizer(folder), config, habits(folder))


def habits(folder: Path) -> Habits:
    """What the checkpoint's generation configuration says; old folders say it in config.json."""
    config, path = read_json(folder / "config.json"), folder / "generation_config.json"
    content = config | (read_json(path) if path.exists() else {})
    suppressed, first = (
        tuple(int(i) for i in content.get(name) or [] if i >= 0)
        for name in ("suppress_tokens", "begin_suppress_tokens")
    )
    multilingual = content.get("is_multilingual")
    if multilingual is None:
        multilingual = config.get("vocab_size", 0) >= _MULTILINGUAL_VOCABULARY
    layers, heads = config["decoder_layers"], config["decoder_attention_heads"]
    found = [(int(layer), int(head)) for layer, head in content.get("alignment_heads") or ()]
    if any(not (0 <= layer < layers and 0 <= head < heads) for layer, head in found):
        raise CheckpointError(
            f"{folder}: alignment_heads names a head that {layers} layers of {heads} heads lack"
        )
    return Habits(
        suppressed=suppressed,
        suppressed_first=first,
        multilingual=bool(multilingual),
        alignment_heads=tuple(found or default_heads(layers, heads)),
    )


def _model(folder: Path, dtype: torch.dtype) -> Any:
    from transformers import WhisperForConditionalGeneration
    from transformers.utils import logging as hf_logging

    safe = any(folder.glob("*.safetensors")) if folder.is_dir() else False
    bars = hf_logging.is_progress_bar_enabled()
    hf_logging.disable_progress_bar()
    try:
        model, info = WhisperForConditionalGeneration.from_pretrained(
            folder,
            dtype=dtype,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=safe,
            weights_only=True,
            output_loading_info=True,
        )
    except Exception as error:  # transformers raises many kinds for a damaged folder
        raise CheckpointError(
            f"{folder} cannot be read as a transformers Whisper folder with model.safetensors or "
            f"pytorch_model.bin: {error}"
        ) from error
    finally:
        if bars:
            hf_logging.enable_progress_bar()
    for what, names in (
        ("lacks", info["missing_keys"]),
        ("has tensors of another shape for", info["mismatched_keys"]),
        ("has tensors that a Whisper does not know:", set(info["unexpected_keys"]) - _TIED),
    ):
        if names:
            shown = ", ".join(sorted(map(str, names))[:5])
            raise CheckpointError(f"{folder} {what} {shown}; is the folder complete and unchanged?")
    return model


def _tokenizer(folder: Path) -> Any:
    from tokenizers import Tokenizer

    try:
        if (folder / "tokenizer.json").is_file():
            return Tokenizer.from_file(str(folder / "tokenizer.json"))
        for name in ("vocab.json", "merges.txt"):  # without them transformers makes an empty one
            if not (folder / name).is_file():
                raise FileNotFoundError(f"{name} is missing")
        from transformers import WhisperTokenizer

        return WhisperTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        ).backend_tokenizer
    except Exception as error:  # tokenizers raises plain Exception
        raise CheckpointError(
            f"{folder} has no tokenizer that can be read (tokenizer.json, or vocab.json with "
            f"merges.txt): {error}"
        ) from error
