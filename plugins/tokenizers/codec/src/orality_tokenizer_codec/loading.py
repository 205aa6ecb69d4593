"""A codec folder to a running model: local files, float32, nothing missing, nothing left over."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch.nn.utils import parametrize
from transformers import DacModel, EncodecModel, MimiModel

import orality
from orality import CheckpointError
from orality.checkpoints import read_json
from orality_tokenizer_codec.folder import Folder, find_folder, read_folder


@dataclass(frozen=True, slots=True, eq=False)
class Codec:
    """A codec and what its units are.

    `encode`: float32 (1, 1, samples) to int64 (1, codebooks, frames). `decode`: int64 (batch,
    codebooks, frames) to float32 (batch, samples).
    """

    folder: Folder
    device: torch.device
    encode: Callable[[torch.Tensor], torch.Tensor]
    decode: Callable[[torch.Tensor], torch.Tensor]


def load_codec(
    checkpoint: str,
    *,
    num_codebooks: int | None = None,
    bandwidth: float | None = None,
    codebook: str | None = None,
    device: str = "auto",
) -> Codec:
    """Load a checkpoint strictly.

    Raises CheckpointError when tensors are missing, unknown or of other shapes, or for anything
    that `read_folder` refuses.
    """
    path = find_folder(checkpoint)
    if path is None:
        path, codebook = Path(orality.fetch(checkpoint)), codebook or Path(checkpoint).name
    folder = read_folder(path, num_codebooks=num_codebooks, bandwidth=bandwidth, codebook=codebook)
    model = _model(folder)
    spec = replace(folder.unit_spec, fingerprint=fingerprint(model, folder))
    folder = replace(folder, unit_spec=spec)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return _codec(folder, model.to(device), torch.device(device))


def fingerprint(model: Any, folder: Folder) -> str:
    """The sha256 of the codebooks in use, float32 in C order, first to last."""
    if folder.family == "dac":
        tables = [layer.codebook.weight for layer in model.quantizer.quantizers]
    elif folder.family == "mimi":
        split = model.quantizer
        parts = (split.semantic_residual_vector_quantizer, split.acoustic_residual_vector_quantizer)
        tables = [layer.codebook.embed for part in parts for layer in part.layers]
    else:
        tables = [layer.codebook.embed for layer in model.quantizer.layers]
    digest = hashlib.sha256()
    for table in tables[: folder.unit_spec.num_codebooks]:
        digest.update(table.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _codec(folder: Folder, model: Any, device: torch.device) -> Codec:
    number, hop = folder.unit_spec.num_codebooks, folder.hop

    def encodec(samples: torch.Tensor) -> torch.Tensor:
        # residual codebooks: the first ones do not depend on how many follow
        codes: torch.Tensor = model.encode(samples, bandwidth=folder.bandwidth).audio_codes
        return codes[0, :, :number]

    def mimi(samples: torch.Tensor) -> torch.Tensor:
        codes: torch.Tensor = model.encode(samples, num_quantizers=number).audio_codes
        return codes

    def dac(samples: torch.Tensor) -> torch.Tensor:
        # whole frames, as DacFeatureExtractor makes them: the model would drop the rest
        samples = torch.nn.functional.pad(samples, (0, -samples.shape[-1] % hop))
        codes: torch.Tensor = model.encode(samples, n_quantizers=number).audio_codes
        return codes

    def decode(codes: torch.Tensor) -> torch.Tensor:
        if folder.family == "encodec":
            samples: torch.Tensor = model.decode(codes[None], [None]).audio_values
        else:
            samples = model.decode(audio_codes=codes).audio_values
        return samples.reshape(len(codes), -1)

    encode = {"encodec": encodec, "mimi": mimi, "dac": dac}[folder.family]
    return Codec(folder, device, torch.inference_mode()(encode), torch.inference_mode()(decode))


def _model(folder: Folder) -> Any:
    classes: dict[str, Any] = {"encodec": EncodecModel, "mimi": MimiModel, "dac": DacModel}
    path = folder.path
    try:
        held = _tensor_names(path)
        model, report = classes[folder.family].from_pretrained(
            path,
            local_files_only=True,
            trust_remote_code=False,
            dtype=torch.float32,
            output_loading_info=True,
        )
    except CheckpointError:
        raise
    except Exception as error:  # transformers raises many kinds for a damaged or hostile folder
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise CheckpointError(f"{path} cannot be loaded: {reason}") from error
    for what, key in (("lacks", "missing_keys"), ("has unknown tensors", "unexpected_keys")):
        if report[key]:
            names = sorted(report[key])
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            raise CheckpointError(f"{path} {what}: {', '.join(names[:3])}{more}")
    # MimiModel is told to ignore what it does not know in its halves, so they are counted too
    if len(held) != len(model.state_dict()):
        raise CheckpointError(
            f"{path} holds {len(held)} tensors, its config.json describes {len(model.state_dict())}"
        )
    for module in model.modules():
        if parametrize.is_parametrized(module, "weight"):
            # weight norm: computed once, not in each call
            parametrize.remove_parametrizations(module, "weight")
    return model.eval().requires_grad_(False)


def _tensor_names(path: Path) -> set[str]:
    """The names of all tensors in the weight files that transformers would read."""
    for single in ("model.safetensors", "pytorch_model.bin"):
        index = path / f"{single}.index.json"
        if (path / single).is_file():
            return _names_in(path / single)
        if index.is_file():
            return set(read_json(index).get("weight_map", ()))
    raise CheckpointError(f"{path} holds neither model.safetensors nor pytorch_model.bin")


def _names_in(file: Path) -> set[str]:
    if file.suffix == ".safetensors":
        with safe_open(file, framework="pt") as content:
            return set(content.keys())
    return set(torch.load(file, map_location="meta", weights_only=True))
