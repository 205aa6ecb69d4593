"""A vocoder folder to a running vocoder: weight norm folded, nothing missing, nothing left over."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn
from transformers import SpeechT5HifiGan, SpeechT5HifiGanConfig

import orality
from orality import CheckpointError
from orality.checkpoints import check_size, read_array
from orality_vocoder_hifigan.durations import DurationPredictor
from orality_vocoder_hifigan.folder import Folder, find_folder, read_folder
from orality_vocoder_hifigan.rows import lay_in_rows
from orality_vocoder_hifigan.vocoder import UnitHifiGan

State = dict[str, torch.Tensor]
# weight norm's two spellings: magnitude, direction
_NORMS = (
    (".weight_g", ".weight_v"),
    (".parametrizations.weight.original0", ".parametrizations.weight.original1"),
)


def load_vocoder(
    checkpoint: str,
    *,
    predict_durations: bool = True,
    given_durations: bool = False,
    speaker: int = 0,
    style: int = 0,
    speaker_vector: Path | None = None,
    f0: float | None = None,
    codebook: str | None = None,
    device: str = "auto",
) -> UnitHifiGan:
    """Load a checkpoint (`tiny`, a folder, or a fetched name) strictly, in float32.

    Raises CheckpointError when the weights do not fit the config, or when the vocoder lacks the
    duration predictor, speaker, style or pitch that was asked for.
    """
    path = find_folder(checkpoint) or Path(orality.fetch(checkpoint))
    folder = read_folder(path, codebook, f0=f0)
    if predict_durations and folder.durations is None:
        raise CheckpointError(
            f"{path} has no duration predictor; set predict_durations to false, and give it one id "
            "per frame"
        )
    for what, row, rows in (("speaker", speaker, folder.speakers), ("style", style, folder.styles)):
        if not 0 <= row < max(rows, 1):
            raise CheckpointError(f"{path} has {max(rows, 1)} {what}(s), there is no {what} {row}")
    vector = _speaker_vector(folder, speaker_vector)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    state = fold_weight_norm(read_state(path))
    with torch.device("meta"):
        wanted = sum(weight.numel() for weight in _modules(folder).parameters())
    check_size(path, wanted=wanted, held=sum(value.numel() for value in state.values()))
    modules = _modules(folder)
    _fill(modules, state, path)
    lay_in_rows(modules["body"])
    return UnitHifiGan(
        folder,
        modules.to(device).eval().requires_grad_(False),
        predict_durations=predict_durations,
        given_durations=given_durations,
        speaker=speaker,
        style=style,
        speaker_vector=vector,
        f0=f0,
    )


def _speaker_vector(folder: Folder, path: Path | None) -> torch.Tensor | None:
    """The vector that stands for the speaker, float32 (speaker_width,), where there is no table."""
    if not folder.speaker_width:
        if path is not None:
            raise CheckpointError(
                f"{folder.path} takes no speaker vector; choose its voice by the option speaker"
            )
        return None
    wanted = f"a .npy file of {folder.speaker_width} numbers"
    if path is None:
        raise CheckpointError(
            f"{folder.path} has no table of speakers, its voices are vectors (embedder_params); "
            f"give speaker_vector, {wanted}"
        )
    vector = read_array(path)
    if vector.dtype.kind not in "fiu" or vector.size != folder.speaker_width:
        raise CheckpointError(
            f"speaker_vector {path} holds {vector.dtype} of shape {vector.shape}, wanted {wanted}"
        )
    return torch.from_numpy(vector.reshape(-1).astype(np.float32))


def read_state(path: Path) -> State:
    """The generator's tensors, from generator.safetensors or generator.pt; no code is executed."""
    safe, pickled = path / "generator.safetensors", path / "generator.pt"
    try:
        if safe.is_file():
            return load_file(safe)
        if pickled.is_file():
            content = torch.load(pickled, map_location="cpu", weights_only=True)
        else:
            raise CheckpointError(f"{path} has neither {safe.name} nor {pickled.name}")
    except CheckpointError:
        raise
    except Exception as error:  # damaged files raise many kinds
        raise CheckpointError(f"the generator in {path} cannot be read: {error}") from error
    state = content.get("generator") if isinstance(content, dict) else None
    if not isinstance(state, Mapping) or not all(
        isinstance(v, torch.Tensor) for v in state.values()
    ):
        raise CheckpointError(f'{pickled} is no {{"generator": state_dict}}')
    return dict(state)


def fold_weight_norm(state: State) -> State:
    """Replace magnitude g and direction v by w = g v / ||v||, norm over all dimensions but the
    first (for transposed convolutions too), in float32."""
    folded: State = {}
    for name, value in state.items():
        for magnitude, direction in _NORMS:
            if name.endswith(direction):
                stem = name.removesuffix(direction)
                g = state.get(stem + magnitude)
                if g is None:
                    raise CheckpointError(f"the generator has {name}, but no {stem}{magnitude}")
                v = value.float()
                norm = v.flatten(1).norm(dim=1).view(-1, *[1] * (v.dim() - 1))
                folded[f"{stem}.weight"] = v * (g.float() / norm)
                break
            if name.endswith(magnitude):
                break
        else:
            folded[name] = value.float()
    return folded


def _modules(folder: Folder) -> nn.ModuleDict:
    """The empty parts, named as in the checkpoint; the generator's body as `body`."""
    config = folder.config
    width = config.get("embedding_dim")
    if not isinstance(width, int) or width < 1:
        raise CheckpointError(f"{folder.path / 'config.json'}: embedding_dim is {width!r}")
    voiced = bool(folder.speakers or folder.speaker_width)
    pitch = 0 if not folder.wants_f0 else width if folder.f0_bins else 1
    wanted = width * (1 + voiced + bool(folder.styles)) + pitch
    if config.get("model_in_dim", 80) != wanted:
        raise CheckpointError(
            f"{folder.path / 'config.json'}: model_in_dim is {config.get('model_in_dim', 80)}, the "
            f"embeddings give {wanted}; does this vocoder want an input that units do not carry?"
        )
    modules = nn.ModuleDict({"dict": nn.Embedding(int(config["num_embeddings"]), width)})
    if folder.f0_bins:  # in the checkpoint even where the switch f0 is off
        modules["f0_quant_embed"] = nn.Embedding(folder.f0_bins, width)
    if folder.speakers:
        modules["spkr"] = nn.Embedding(folder.speakers, width)
    elif folder.speaker_width:
        modules["spkr"] = nn.Linear(folder.speaker_width, width)
    if folder.styles:
        modules["style"] = nn.Embedding(folder.styles, width)
    try:
        if folder.durations is not None:
            modules["dur_predictor"] = DurationPredictor(
                int(folder.durations["encoder_embed_dim"]),
                int(folder.durations["var_pred_hidden_dim"]),
                int(folder.durations["var_pred_kernel_size"]),
            )
        modules["body"] = SpeechT5HifiGan(
            SpeechT5HifiGanConfig(
                model_in_dim=wanted,
                sampling_rate=folder.sample_rate,
                upsample_initial_channel=config["upsample_initial_channel"],
                upsample_rates=config["upsample_rates"],
                upsample_kernel_sizes=config["upsample_kernel_sizes"],
                resblock_kernel_sizes=config["resblock_kernel_sizes"],
                resblock_dilation_sizes=config["resblock_dilation_sizes"],
                leaky_relu_slope=0.1,
                normalize_before=False,
            )
        )
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{folder.path / 'config.json'} is incomplete: {error}") from error
    return modules


def _fill(modules: nn.ModuleDict, state: State, path: Path) -> None:
    own = ("dict.", "f0_quant_embed.", "spkr.", "style.", "dur_predictor.")
    named = {
        name if name.startswith(own) else f"body.{name.replace('ups.', 'upsampler.', 1)}": value
        for name, value in state.items()
    }
    try:
        missing, unexpected = modules.load_state_dict(named, strict=False)
    except RuntimeError as error:
        raise CheckpointError(
            f"the weights in {path} do not fit its config.json: {error}"
        ) from error
    missing = [name for name in missing if name not in ("body.mean", "body.scale")]  # unused here
    for what, names in (("lacks", missing), ("has more than its config.json says:", unexpected)):
        if names:
            shown = ", ".join(name.removeprefix("body.") for name in sorted(names)[:5])
            raise CheckpointError(f"the generator in {path} {what} {shown} ({len(names)} tensors)")
