"""A model folder to a running model: local files only, nothing missing, nothing left over."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.utils import logging as hf_logging

import orality
from orality import CheckpointError
from orality.checkpoints import check_size, note_checkpoint
from orality.weights import unpacked
from orality_slm_twist.complete import check_complete
from orality_slm_twist.folder import Folder, find_folder, read_folder
from orality_slm_twist.generation import DEFAULTS, Running
from orality_slm_twist.slm import TwistLM

# Buffers that old versions of transformers saved and newer ones compute.
_COMPUTED = re.compile(r"rotary_emb\.inv_freq$|decoder\.version$|attn\.(masked_)?bias$")
# What config files say about their own origin and storage.
_NOT_SETTINGS = frozenset({"_name_or_path", "dtype", "torch_dtype", "transformers_version"})


def load_twist(
    checkpoint: str | Path,
    *,
    device: str = "auto",
    dtype: str = "float32",
    codebook: str | None = None,
    offset: int | None = None,
    mask_repeats: bool | None = None,
    running: Running = DEFAULTS,
) -> TwistLM:
    """Load a checkpoint (`tiny`, a folder, its zip file, or a fetched name) strictly.

    Weights are converted to `dtype`, whatever they are stored in, and moved to `device`. Raises
    CheckpointError when the folder is incomplete or its weights do not fit its config.
    """
    path = find_folder(str(checkpoint)) or Path(orality.fetch(str(checkpoint)))
    if not path.is_dir():
        read_folder(path, codebook, offset)  # what cannot work is refused before it is unpacked
        path = note_checkpoint(unpacked(path))
    folder = read_folder(path, codebook, offset)
    check_complete(path)
    module = _module(folder, getattr(torch, dtype))
    rows = module.get_input_embeddings().weight.shape[0]
    if rows < folder.offset + folder.unit_spec.vocab_size:
        raise CheckpointError(
            f"{path}: the embedding has {rows} rows, but the last unit is token "
            f"{folder.offset + folder.unit_spec.vocab_size - 1}"
        )
    if mask_repeats is None:
        mask_repeats = folder.states_units and folder.unit_spec.deduplicated
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return TwistLM(
        module.to(device).eval(),
        unit_spec=folder.unit_spec,
        offset=folder.offset,
        bos=folder.bos,
        eos=folder.eos,
        context_length=folder.context_length or 2048,
        mask_repeats=mask_repeats,
        running=running,
    )


def _module(folder: Folder, dtype: torch.dtype) -> Any:
    bars = hf_logging.is_progress_bar_enabled()
    hf_logging.disable_progress_bar()
    try:
        more = _slamkit(folder) if folder.is_slamkit else {}
        _check_size(folder.path, more.get("config"))
        module, info = AutoModelForCausalLM.from_pretrained(
            folder.path,
            dtype=dtype,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
            **more,
        )
    except CheckpointError:
        raise
    except Exception as error:  # transformers raises many kinds for a damaged folder
        raise CheckpointError(f"{folder.path} cannot be loaded: {error}") from error
    finally:
        if bars:
            hf_logging.enable_progress_bar()
    unexpected = [name for name in info["unexpected_keys"] if not _COMPUTED.search(name)]
    _refuse(folder.path, "lacks", info["missing_keys"])
    _refuse(folder.path, "has tensors of another shape for", info["mismatched_keys"])
    _refuse(folder.path, "has tensors that this architecture does not know:", unexpected)
    return module


def _check_size(path: Path, config: Any) -> None:
    """Refuse a config of another size than the weights before memory is taken for it."""
    if config is None:
        config = AutoConfig.from_pretrained(path, local_files_only=True, trust_remote_code=False)
    files = [file for file in path.iterdir() if file.suffix in {".safetensors", ".bin"}]
    held = sum(file.stat().st_size for file in files) // 2  # two bytes a number, or more
    layers, width = (getattr(config, n, 0) or 0 for n in ("num_hidden_layers", "hidden_size"))
    check_size(path, wanted=layers * width**2, held=held)  # before that many are listed
    with torch.device("meta"):
        module = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    check_size(path, wanted=sum(weight.numel() for weight in module.parameters()), held=held)


def _slamkit(folder: Folder) -> dict[str, Any]:
    """slamkit's UnitLM: its base model's config is nested, its weights carry the prefix `lm.`.

    slamkit itself asks a hub for the base config; here the nested one is all that is read.
    """
    base = {k: v for k, v in folder.config["base_config"].items() if k not in _NOT_SETTINGS}
    base["vocab_size"] = folder.vocab_size
    config = AutoConfig.for_model(base.pop("model_type"), **base)
    return {"config": config, "key_mapping": {r"^lm\.": ""}}


def _refuse(path: Path, what: str, names: Any) -> None:
    found = sorted(str(name) for name in names)
    if found:
        shown = ", ".join(found[:5]) + (f" and {len(found) - 5} more" if len(found) > 5 else "")
        raise CheckpointError(f"{path} {what} {shown}; is the folder complete and unchanged?")
