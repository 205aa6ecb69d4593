"""A transformers folder to a running CTC model: nothing missing, no pickle run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from orality import CheckpointError, fetch
from orality.checkpoints import read_json
from orality_asr_ctc import CtcConfig
from orality_asr_ctc.transcriber import Alphabet, CtcTranscriber

_HEAR_SAMPLES = frozenset(
    {
        "data2vec-audio", "hubert", "sew", "sew-d", "unispeech", "unispeech-sat", "wav2vec2",
        "wav2vec2-conformer", "wavlm",
    }
)  # fmt: skip


def load(config: CtcConfig) -> CtcTranscriber:
    """Read the checkpoint; CheckpointError when it is no CTC model of letters hearing samples."""
    folder = fetch(config.checkpoint)
    device = config.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    kind = read_json(folder / "config.json").get("model_type")
    if kind not in _HEAR_SAMPLES:
        raise CheckpointError(
            f"{folder} is a {kind!r}; wanted one of {', '.join(sorted(_HEAR_SAMPLES))}"
        )
    model = _model(folder).eval().requires_grad_(False).to(device)
    hears = folder / "preprocessor_config.json"
    settings = read_json(hears) if hears.is_file() else {}
    return CtcTranscriber(
        model,
        alphabet(folder, model.config),
        sample_rate=int(settings.get("sampling_rate", 16_000)),
        normalize=bool(settings.get("do_normalize", True)),
        language=config.language,
        timestamps=config.timestamps,
        name=Path(config.checkpoint).name,
    )


def alphabet(folder: Path, config: Any) -> Alphabet:
    """What the model's outputs stand for, from `vocab.json` and `tokenizer_config.json`."""
    tokens = read_json(folder / "vocab.json")
    if not all(isinstance(number, int) for number in tokens.values()):
        raise CheckpointError(
            f"{folder} has a vocabulary for each of several languages; wanted a model of one"
        )
    tokenizer = folder / "tokenizer_config.json"
    settings = read_json(tokenizer) if tokenizer.is_file() else {}
    delimiter = settings.get("word_delimiter_token") or "|"
    letters = {token: i for token, i in tokens.items() if len(token) == 1 and token != delimiter}
    if not letters or max(tokens.values()) >= config.vocab_size:
        raise CheckpointError(
            f"{folder} has no letters in its vocabulary, or more tokens than the model's "
            f"{config.vocab_size}"
        )
    return Alphabet(letters, blank=int(config.pad_token_id), space=tokens.get(delimiter))


def _model(folder: Path) -> Any:
    from transformers import AutoModelForCTC
    from transformers.utils import logging as hf_logging

    bars = hf_logging.is_progress_bar_enabled()
    hf_logging.disable_progress_bar()
    try:
        model, info = AutoModelForCTC.from_pretrained(
            folder,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=any(folder.glob("*.safetensors")),
            weights_only=True,
            output_loading_info=True,
        )
    except Exception as error:  # transformers raises many kinds for a damaged folder
        raise CheckpointError(f"{folder} cannot be read as a CTC model: {error}") from error
    finally:
        if bars:
            hf_logging.enable_progress_bar()
    lacking = sorted(map(str, info["missing_keys"]))
    # Training alone uses it, and many folders leave it out.
    lacking = [name for name in lacking if not name.endswith("masked_spec_embed")]
    if lacking or info["mismatched_keys"]:
        raise CheckpointError(
            f"{folder} lacks {', '.join(lacking[:5]) or 'weights of the right shape'}; wanted a "
            "model with a CTC head"
        )
    return model
