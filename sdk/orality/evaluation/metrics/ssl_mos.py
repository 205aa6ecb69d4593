"""MOSnet of the papers: SSL-MOS, a wav2vec 2.0 whose mean frame is mapped to an opinion score.

Cooper et al. (ICASSP 2022), `mos-finetune-ssl`. Their checkpoints name layers as fairseq does; here
they are renamed for transformers' model of the same architecture, which computes without fairseq.
Unproven: no published checkpoint was at hand to compare the scores with fairseq's. They trained on
loudness-normalized speech (sv56), which is the caller's affair.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from orality.errors import CheckpointError
from orality.evaluation.metrics.sound import samples_at
from orality.types import Waveform

RATE = 16_000
_STRIDES, _KERNELS = (5, 2, 2, 2, 2, 2, 2), (10, 3, 3, 3, 3, 2, 2)
_HEAD = 64  # channels of an attention head, in base and large alike
_RENAMED = (
    (r"^feature_extractor\.conv_layers\.(\d+)\.0\.", r"feature_extractor.conv_layers.\1.conv."),
    (r"^feature_extractor\.conv_layers\.0\.2\.", r"feature_extractor.conv_layers.0.layer_norm."),
    (r"^post_extract_proj\.", r"feature_projection.projection."),
    (r"^layer_norm\.", r"feature_projection.layer_norm."),
    (r"^mask_emb$", r"masked_spec_embed"),
    (r"\.pos_conv\.0\.weight_g$", r".pos_conv_embed.conv.parametrizations.weight.original0"),
    (r"\.pos_conv\.0\.weight_v$", r".pos_conv_embed.conv.parametrizations.weight.original1"),
    (r"\.pos_conv\.0\.bias$", r".pos_conv_embed.conv.bias"),
    (r"^(encoder\.layers\.\d+)\.self_attn\.", r"\1.attention."),
    (r"^(encoder\.layers\.\d+)\.self_attn_layer_norm\.", r"\1.layer_norm."),
    (r"^(encoder\.layers\.\d+)\.fc1\.", r"\1.feed_forward.intermediate_dense."),
    (r"^(encoder\.layers\.\d+)\.fc2\.", r"\1.feed_forward.output_dense."),
)
# Parts of the pretraining that have no say in the score.
_UNUSED = ("quantizer.", "project_q.", "final_proj.", "target_glu.", "input_quantizer.")


def ssl_mos(
    waveforms: Sequence[Waveform], checkpoint: str | Path, *, device: str = "cpu"
) -> list[float]:
    """SSL-MOS of each recording, nominally 1 to 5; a recording never depends on those beside it.

    `checkpoint`: the state dict of a `MosPredictor` over wav2vec_small. Raises CheckpointError
    where it is something else, and EvaluationError for a recording that is empty or not finite.
    """
    listen = load_ssl_mos(checkpoint, device=device)
    return [listen(waveform) for waveform in waveforms]


def load_ssl_mos(checkpoint: str | Path, *, device: str = "cpu") -> Callable[[Waveform], float]:
    """The predictor, ready to listen to one recording at a time."""
    encoder, output = _predictor(_read(Path(checkpoint).expanduser()), str(checkpoint))
    encoder.eval().requires_grad_(False).to(device)
    output.requires_grad_(False).to(device)

    @torch.inference_mode()
    def listen(waveform: Waveform) -> float:
        samples = samples_at(waveform, RATE)
        # What is shorter than the encoder's first frame is repeated until it is one.
        samples = samples.repeat(-(-400 // len(samples))) if len(samples) < 400 else samples
        frames = encoder(torch.from_numpy(samples)[None].to(device)).last_hidden_state
        return float(output(frames.mean(dim=1))[0, 0])

    return listen


def _read(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise CheckpointError(f"{path} cannot be read as weights alone: {error}") from error
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise CheckpointError(f"{path} is no state dict: wanted names and tensors")
    return state


def _predictor(state: dict[str, Tensor], name: str) -> tuple[Any, nn.Linear]:
    from transformers import Wav2Vec2Model

    weight, bias = state.get("output_layer.weight"), state.get("output_layer.bias")
    mine = {k.removeprefix("ssl_model."): v for k, v in state.items() if k.startswith("ssl_model.")}
    if weight is None or bias is None or not mine:
        raise CheckpointError(
            f"{name} is no SSL-MOS predictor: wanted ssl_model.* and output_layer.*"
        )
    if (
        any(".0.2.1." in key for key in mine)
        or "feature_extractor.conv_layers.0.2.weight" not in mine
    ):
        raise CheckpointError(f"{name} is built on another model than wav2vec_small; use its base")
    renamed = {_rename(key): value for key, value in mine.items() if not key.startswith(_UNUSED)}
    model = Wav2Vec2Model(_config(mine))
    missing, unexpected = model.load_state_dict(renamed, strict=False)
    missing = [key for key in missing if key != "masked_spec_embed"]
    if missing or unexpected:
        raise CheckpointError(
            f"{name} does not fit wav2vec 2.0: missing {missing[:3]}, unknown {unexpected[:3]}"
        )
    output = nn.Linear(weight.shape[1], 1)
    output.load_state_dict({"weight": weight, "bias": bias})
    return model, output


def _config(state: dict[str, Tensor]) -> Any:
    """The architecture, read off the shapes; wav2vec_small gives transformers' default."""
    from transformers import Wav2Vec2Config

    convolution = state["encoder.pos_conv.0.weight_v"]  # (hidden, hidden / groups, kernel)
    hidden, layers = convolution.shape[0], {k.split(".")[2] for k in state if ".self_attn.k" in k}
    channels = [state[f"feature_extractor.conv_layers.{n}.0.weight"].shape[0] for n in range(7)]
    return Wav2Vec2Config(
        hidden_size=hidden,
        num_hidden_layers=len(layers),
        num_attention_heads=max(1, hidden // _HEAD),
        intermediate_size=state["encoder.layers.0.fc1.weight"].shape[0],
        conv_dim=channels,
        conv_stride=_STRIDES,
        conv_kernel=_KERNELS,
        num_conv_pos_embeddings=convolution.shape[2],
        num_conv_pos_embedding_groups=hidden // convolution.shape[1],
    )


def _rename(key: str) -> str:
    for pattern, replacement in _RENAMED:
        key = re.sub(pattern, replacement, key)
    return key
