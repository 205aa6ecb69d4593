"""The small HuBERT: its shape, its frames, and classification of (partly masked) frames.

Any transformers HuBERT is read for features; what is trained here uses a cheap stack of five
convolutions with layer norm, which normalizes each frame by itself, so no other recording of a
batch and no padding can change a frame. Hsu et al., "HuBERT", 2021.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn
from transformers import HubertConfig, HubertModel

from orality.errors import CheckpointError


@dataclass(frozen=True, slots=True)
class Frames:
    """How samples become frames: frame t sees samples [hop * t, hop * t + field)."""

    hop: int
    field: int

    def count(self, samples: int) -> int:
        """Frames of a recording of that many samples; 0 when it is shorter than the field."""
        return 0 if samples < self.field else (samples - self.field) // self.hop + 1

    def centers(self, count: int) -> NDArray[np.float64]:
        """The sample in the middle of each of the first `count` frames."""
        return np.arange(count, dtype=np.float64) * self.hop + self.field / 2


def frames_of(config: Any) -> Frames:
    """The frame geometry of a HuBERT config, from its kernels and strides."""
    hop = field = 1
    for kernel, stride in zip(config.conv_kernel, config.conv_stride, strict=True):
        field += (kernel - 1) * hop
        hop *= stride
    return Frames(hop, field)


def small_config(*, width: int = 256, layers: int = 5, dropout: float = 0.05) -> HubertConfig:
    """A 25 Hz HuBERT of about 4 million parameters at width 256 and 5 layers.

    Kernels and strides give hop 640 and field 720 samples, the framing of mhubert-base-25hz:
    a recording of n samples has floor((n - 720) / 640) + 1 frames.
    """
    return HubertConfig(
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        intermediate_size=3 * width,
        conv_dim=(64, 128, 192, width, width),
        conv_kernel=(20, 11, 4, 2, 2),
        conv_stride=(10, 4, 4, 2, 2),
        conv_bias=True,
        feat_extract_norm="layer",
        do_stable_layer_norm=True,
        num_conv_pos_embeddings=32,
        num_conv_pos_embedding_groups=16,
        hidden_dropout=dropout,
        attention_dropout=dropout,
        activation_dropout=0.0,
        feat_proj_dropout=0.0,
        final_dropout=0.0,
        layerdrop=0.0,
        # masks are drawn by the training and handed in; above 0 only so that a mask vector exists
        apply_spec_augment=True,
        mask_time_prob=0.05,
        mask_feature_prob=0.0,
        vocab_size=32,
    )


class FrameClassifier(nn.Module):
    """A HuBERT with one linear head: a class for each frame."""

    def __init__(self, config: HubertConfig, num_classes: int) -> None:
        super().__init__()
        self.hubert = HubertModel(config)
        self.head = nn.Linear(config.hidden_size, num_classes)
        for layer in self.hubert.feature_extractor.conv_layers:
            # digital silence would give all zeros, whose layer norm has an exploding gradient
            nn.init.uniform_(layer.conv.bias, -0.05, 0.05)

    def forward(self, samples: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Logits (batch, frames, classes) of raw 16 kHz samples (batch, samples).

        `mask`: bool (batch, frames); where True the transformer sees the mask vector instead.
        """
        hidden = self.hubert(samples, mask_time_indices=mask).last_hidden_state
        logits: torch.Tensor = self.head(hidden)
        return logits


def masked_cross_entropy(
    logits: torch.Tensor, targets: torch.Tensor, mask: torch.Tensor, masked_weight: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(loss, correct share of seen frames, correct share of masked ones).

    The loss is the mean over frames, masked frames counting `masked_weight` and seen ones 1.
    `logits`: (batch, frames, classes); `targets`: int64 and `mask`: bool, (batch, frames).
    """
    each = F.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), reduction="none")
    weights = torch.where(mask.flatten(), masked_weight, 1.0)
    correct = (logits.argmax(-1) == targets).float()
    seen, hidden = ~mask, mask
    return (
        (each * weights).sum() / weights.sum().clamp_min(1e-6),
        (correct * seen).sum() / seen.sum().clamp_min(1),
        (correct * hidden).sum() / hidden.sum().clamp_min(1),
    )


def span_mask(
    rng: np.random.Generator, batch: int, frames: int, *, share: float, span: int
) -> NDArray[np.bool_]:
    """A bool mask (batch, frames): spans of `span` frames, about `share` of all frames."""
    starts = rng.random((batch, frames)) < share / span
    mask = np.zeros((batch, frames), bool)
    for offset in range(span):
        mask[:, offset:] |= starts[:, : frames - offset]
    return mask


def load_hubert(folder: Path) -> HubertModel:
    """A transformers HuBERT folder in float32 and evaluation mode; a missing or extra tensor is an
    error."""
    model, report = HubertModel.from_pretrained(
        str(folder),
        dtype=torch.float32,
        output_loading_info=True,
        local_files_only=True,
        trust_remote_code=False,
    )
    wrong = [*report["missing_keys"], *report["unexpected_keys"], *report["mismatched_keys"]]
    if wrong:
        raise CheckpointError(f"{folder} does not hold this HuBERT: {', '.join(map(str, wrong))}")
    return model.eval()


@torch.inference_mode()
def layer_features(
    model: HubertModel, samples: NDArray[np.float32], layers: Sequence[int]
) -> dict[int, torch.Tensor]:
    """`hidden_states[layer]`, float32 (frames, width), of a recording; empty if it is too short.

    The last layer of a pre-norm encoder is taken after its final norm, as the tokenizer plugin
    takes it; transformers gives `hidden_states[-1]` before it.
    """
    frames = frames_of(model.config)
    if frames.count(len(samples)) == 0:
        return {layer: torch.zeros(0, model.config.hidden_size) for layer in layers}
    wave = torch.from_numpy(samples).to(model.device)[None]
    output = model(wave, output_hidden_states=True)
    states = (*output.hidden_states[:-1], output.last_hidden_state)
    return {layer: states[layer][0].float() for layer in layers}
