"""Folders that are no spoken language model, told by their config.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from orality import CheckpointError

_SPEECH = {
    "hubert": "a speech encoder: name it as the tokenizer's checkpoint",
    "wavlm": "a speech encoder: name it as the tokenizer's checkpoint",
    "wav2vec2": "a speech encoder: name it as the tokenizer's checkpoint",
    "wav2vec2-bert": "a speech encoder: name it as the tokenizer's checkpoint",
    "whisper": "a transcriber: name it as the transcriber's checkpoint",
    "speecht5_hifigan": "a vocoder: name it as the vocoder's checkpoint",
    "encodec": "an audio codec, no language model",
    "mimi": "an audio codec, no language model",
    "dac": "an audio codec, no language model",
}


def refuse_others(folder: Path, config: dict[str, Any]) -> None:
    """Raise CheckpointError for a vocoder, an encoder, a codec, or a model with code of its own."""
    path, kind = folder / "config.json", config.get("model_type")
    if config.get("auto_map"):
        raise CheckpointError(
            f"{path} wants to run Python code from the folder ('auto_map'); only architectures "
            "that transformers itself has are loaded"
        )
    if "upsample_rates" in config:
        raise CheckpointError(f"{path} describes {_SPEECH['speecht5_hifigan']}")
    if isinstance(kind, str) and kind in _SPEECH:
        raise CheckpointError(f"{path} describes {_SPEECH[kind]}")
