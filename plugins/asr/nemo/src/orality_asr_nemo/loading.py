"""Import NeMo and restore a checkpoint with it, after the checkpoint's files have been checked."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orality import CheckpointError, CompatibilityError, DownloadError, PluginError
from orality.checkpoints import note_checkpoint
from orality_asr_nemo.checkpoint import find_checkpoint, opened
from orality_asr_nemo.transcriber import NemoTranscriber

if TYPE_CHECKING:
    from orality_asr_nemo import NemoConfig

_MODELS = "nemo.collections.asr.models"
_CONNECTOR = "nemo.core.connectors.save_restore_connector"


def load_transcriber(config: NemoConfig) -> NemoTranscriber:
    """Find, check and restore the checkpoint.

    Raises PluginError without NeMo, CheckpointError for files that are missing, damaged, unsafe or
    no speech recognition, CompatibilityError when the model cannot do what `config` asks.
    """
    path = find_checkpoint(config.checkpoint)
    if path is None:
        path = _from_catalog(config.checkpoint)
    with opened(path) as folder:
        model = _restore(path, folder, None if config.device == "auto" else config.device)
    if config.decoder is not None:
        if not hasattr(model, "cur_decoder"):
            raise CompatibilityError(
                [f"{config.checkpoint} has one decoder; decoder={config.decoder!r} wants a hybrid"]
            )
        model.change_decoding_strategy(decoder_type=config.decoder, verbose=False)
    return NemoTranscriber(
        model.eval(),
        language=config.language,
        target_language=config.target_language if config.task == "translate" else None,
        timestamps=config.timestamps,
        punctuation=config.punctuation,
        batch_size=config.batch_size,
        name=Path(config.checkpoint).name,
    )


def _restore(path: Path, folder: Path, device: str | None) -> Any:
    asr = _imported(_MODELS)
    connector = _imported(_CONNECTOR).SaveRestoreConnector()
    connector.model_extracted_dir = str(folder)
    try:
        model = asr.ASRModel.restore_from(
            str(folder), map_location=device, save_restore_connector=connector
        )
    except Exception as error:  # NeMo raises whatever its parts raise
        raise CheckpointError(
            f"NeMo cannot load {path}: {type(error).__name__}: {error}"
        ) from error
    if not hasattr(model, "transcribe") or not hasattr(model, "get_transcribe_config"):
        raise CheckpointError(f"{path} is a {type(model).__name__}, which does not transcribe")
    return model


def _from_catalog(name: str) -> Path:
    """The .nemo file of a model on NVIDIA's own servers, which NeMo fetches and caches."""
    model = _imported(_MODELS).ASRModel
    if any(os.environ.get(flag, "").lower() in ("1", "true", "yes", "on") for flag in _OFFLINE):
        raise DownloadError(
            f"{name!r} may have to be fetched, but downloads are forbidden ({_OFFLINE[0]}=1): "
            "give the path of a .nemo file"
        )
    try:
        return note_checkpoint(Path(model.from_pretrained(name, return_model_file=True)))
    except Exception as error:  # an unknown name and a network failure look alike here
        raise CheckpointError(
            f"no checkpoint {name!r}: it is no file, no OWNER/NAME, and NeMo's catalog cannot "
            f"give it: {type(error).__name__}: {error}"
        ) from error


_OFFLINE = ("ORALITY_OFFLINE", "HF_HUB_OFFLINE")


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise PluginError(
            "the transcriber 'nemo' needs NVIDIA NeMo: pip install 'orality-asr-nemo[nemo]'"
        ) from error
