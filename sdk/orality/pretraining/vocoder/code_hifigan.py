"""A unit HiFi-GAN to train, in the shapes and with the tensor names of CodeHiFiGAN.

Kong et al. 2020 (HiFi-GAN) for the generator, Polyak et al. 2021 and Lee et al. 2021 for the unit
embedding and the duration predictor. Trained without weight normalization; `official_state` states
the same weights with it, as the format wants.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from orality.errors import TrainingError

SLOPE = 0.1
LAST_SLOPE = 0.01  # what the original's last activation falls back to, and every reader expects
DURATION_DROPOUT = 0.0  # the original has 0.5; held-out lengths come out better without
LONGEST = 250  # frames: keeps a wild log duration from filling the memory


@dataclass(frozen=True, slots=True)
class VocoderShape:
    """The size of a unit vocoder.

    `channels` halve at every upsampling; the product of `upsample_rates` is the samples per frame.
    """

    num_embeddings: int
    embedding_dim: int = 128
    channels: int = 256
    upsample_rates: tuple[int, ...] = (5, 4, 4, 8)
    resblock_kernels: tuple[int, ...] = (7,)
    dilations: tuple[int, ...] = (1, 3, 5)
    duration_channels: int = 128
    sample_rate: int = 16_000

    def __post_init__(self) -> None:
        if self.channels % 2 ** len(self.upsample_rates):
            raise TrainingError(
                f"{self.channels} channels cannot be halved {len(self.upsample_rates)} times; "
                f"take a multiple of {2 ** len(self.upsample_rates)}"
            )

    @property
    def hop(self) -> int:
        """Samples per unit frame."""
        return int(torch.Size(self.upsample_rates).numel())

    def config(self) -> dict[str, Any]:
        """The keys of an official config.json that concern the model."""
        return {
            "resblock": "1",
            "upsample_rates": list(self.upsample_rates),
            "upsample_kernel_sizes": [_kernel(rate) for rate in self.upsample_rates],
            "upsample_initial_channel": self.channels,
            "resblock_kernel_sizes": list(self.resblock_kernels),
            "resblock_dilation_sizes": [list(self.dilations) for _ in self.resblock_kernels],
            "num_embeddings": self.num_embeddings,
            "embedding_dim": self.embedding_dim,
            "model_in_dim": self.embedding_dim,
            "code_hop_size": self.hop,
            "sampling_rate": self.sample_rate,
            "f0": False,
            "dur_prediction_weight": 1.0,
            "dur_predictor_params": {
                "encoder_embed_dim": self.embedding_dim,
                "var_pred_hidden_dim": self.duration_channels,
                "var_pred_kernel_size": 3,
                "var_pred_dropout": DURATION_DROPOUT,
            },
        }


class Generator(nn.Module):
    """Frame units, int64 (batch, frames), to samples in [-1, 1], (batch, frames * hop)."""

    def __init__(self, shape: VocoderShape) -> None:
        super().__init__()
        self.kernels = len(shape.resblock_kernels)
        self.dict = nn.Embedding(shape.num_embeddings, shape.embedding_dim)
        self.conv_pre = nn.Conv1d(shape.embedding_dim, shape.channels, 7, padding=3)
        self.ups = nn.ModuleList()
        self.resblocks = nn.ModuleList()
        width = shape.channels
        for rate in shape.upsample_rates:
            kernel = _kernel(rate)
            self.ups.append(
                nn.ConvTranspose1d(width, width // 2, kernel, rate, (kernel - rate) // 2)
            )
            width //= 2
            for size in shape.resblock_kernels:
                self.resblocks.append(_Block(width, size, shape.dilations))
        self.conv_post = nn.Conv1d(width, 1, 7, padding=3)
        self.dur_predictor = _Durations(shape.embedding_dim, shape.duration_channels)

    def forward(self, units: torch.Tensor) -> torch.Tensor:
        x = self.conv_pre(self.dict(units).transpose(1, 2))
        for i, up in enumerate(self.ups):
            x = up(F.leaky_relu(x, SLOPE))
            blocks = [
                block(x) for block in self.resblocks[i * self.kernels : (i + 1) * self.kernels]
            ]
            x = sum(blocks[1:], blocks[0]) / self.kernels
        return torch.tanh(self.conv_post(F.leaky_relu(x, LAST_SLOPE)))[:, 0]

    def log_durations(self, units: torch.Tensor) -> torch.Tensor:
        """log(frames + 1) of each unit of a de-duplicated sequence: (batch, units) to the same."""
        answer: torch.Tensor = self.dur_predictor(self.dict(units))
        return answer

    @torch.no_grad()
    def durations(self, units: torch.Tensor) -> torch.Tensor:
        """Whole frames, at least one, by the format's rule round(exp(x) - 1)."""
        frames = torch.round(torch.exp(self.log_durations(units)) - 1)
        return frames.clamp(1, LONGEST).long()


class _Block(nn.Module):
    def __init__(self, width: int, kernel: int, dilations: tuple[int, ...]) -> None:
        super().__init__()
        self.convs1 = nn.ModuleList(
            nn.Conv1d(width, width, kernel, padding=(kernel - 1) // 2 * d, dilation=d)
            for d in dilations
        )
        self.convs2 = nn.ModuleList(
            nn.Conv1d(width, width, kernel, padding=(kernel - 1) // 2) for _ in dilations
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for first, second in zip(self.convs1, self.convs2, strict=True):
            x = x + second(F.leaky_relu(first(F.leaky_relu(x, SLOPE)), SLOPE))
        return x


class _Durations(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(nn.Conv1d(width, hidden, 3, padding=1), nn.ReLU())
        self.ln1 = nn.LayerNorm(hidden)
        self.conv2 = nn.Sequential(nn.Conv1d(hidden, hidden, 3, padding=1), nn.ReLU())
        self.ln2 = nn.LayerNorm(hidden)
        self.dropout = nn.Dropout(DURATION_DROPOUT)
        self.proj = nn.Linear(hidden, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.dropout(self.ln1(self.conv1(x.transpose(1, 2)).transpose(1, 2)))
        x = self.dropout(self.ln2(self.conv2(x.transpose(1, 2)).transpose(1, 2)))
        answer: torch.Tensor = self.proj(x)[..., 0]
        return answer


def official_state(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A generator's state dict under the official names: convolutions as weight_g and weight_v."""
    official: dict[str, torch.Tensor] = {}
    for name, value in state.items():
        stem, _, kind = name.rpartition(".")
        if kind == "weight" and _is_normalized(stem):
            official[f"{stem}.weight_g"] = value.flatten(1).norm(dim=1).view(-1, 1, 1)
            official[f"{stem}.weight_v"] = value
        else:
            official[name] = value
    return {name: value.detach().clone().contiguous() for name, value in official.items()}


def plain_state(official: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The inverse of `official_state`, in float32."""
    plain: dict[str, torch.Tensor] = {}
    for name, value in official.items():
        if name.endswith(".weight_v"):
            stem = name.removesuffix(".weight_v")
            v, g = value.float(), official[f"{stem}.weight_g"].float()
            plain[f"{stem}.weight"] = v * (g / v.flatten(1).norm(dim=1).view(-1, 1, 1))
        elif not name.endswith(".weight_g"):
            plain[name] = value.float()
    return plain


def _is_normalized(stem: str) -> bool:
    return stem.split(".")[0] in ("conv_pre", "ups", "resblocks", "conv_post")


def _kernel(rate: int) -> int:
    return 2 * rate + rate % 2  # kernel - rate must be even for exactly `rate` times the length
