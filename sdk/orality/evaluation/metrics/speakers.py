"""Does a continuation sound like the speaker of its prompt? The cosine of speaker embeddings.

Scales of different models are different scales: a figure means nothing without its model's name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from orality.checkpoints import check_loaded
from orality.errors import CheckpointError, EvaluationError
from orality.evaluation.metrics.sound import samples_at
from orality.types import Waveform

RATE = 16_000
_SHORTEST = RATE // 2  # below, the frames are too few for their spread to be known

Embed = Callable[[Waveform], NDArray[np.float64]]


def speaker_similarity(
    references: Sequence[Waveform],
    waveforms: Sequence[Waveform],
    folder: str | Path,
    *,
    device: str = "cpu",
) -> list[float]:
    """Cosines in [-1, 1] between the speakers of recordings and of their references, one each.

    `folder`: a WavLM x-vector model as transformers stores it (`microsoft/wavlm-base-plus-sv`).
    Raises CheckpointError where it is none, EvaluationError where the numbers of recordings differ
    or one is shorter than 0.5 s or not finite.
    """
    if len(references) != len(waveforms):
        raise EvaluationError(
            f"a similarity needs one reference per recording, got {len(references)} for "
            f"{len(waveforms)}"
        )
    embed = load_speaker_encoder(folder, device=device)
    return [cosine(embed(a), embed(b)) for a, b in zip(references, waveforms, strict=True)]


def load_speaker_encoder(folder: str | Path, *, device: str = "cpu") -> Embed:
    """A function from a recording to its speaker's embedding, shape (size,)."""
    from transformers import AutoFeatureExtractor, WavLMForXVector

    try:
        extractor: Any = AutoFeatureExtractor.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
        model: Any
        model, report = WavLMForXVector.from_pretrained(
            folder,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
        )
    except Exception as error:
        raise CheckpointError(
            f"{folder} cannot be read as a WavLM x-vector model: {error}; give a local folder with "
            "safetensors and the feature extractor's settings"
        ) from error
    check_loaded(folder, report)
    model = model.eval().requires_grad_(False).to(device)

    @torch.inference_mode()
    def embed(waveform: Waveform) -> NDArray[np.float64]:
        samples = samples_at(waveform, RATE)
        if len(samples) < _SHORTEST:
            raise EvaluationError(
                f"{len(samples) / RATE:.2f} s are too short to know a speaker by; 0.5 s are needed"
            )
        given = extractor(samples, sampling_rate=RATE, return_tensors="pt").to(device)
        found: NDArray[np.float64] = model(**given).embeddings[0].double().cpu().numpy()
        return found

    return embed


def cosine(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """The cosine between two embeddings; EvaluationError where one has no direction."""
    size = float(np.linalg.norm(a) * np.linalg.norm(b))
    if not (np.isfinite(size) and size > 0):
        raise EvaluationError("an embedding without a direction has no similarity")
    return float(np.clip(np.dot(a, b) / size, -1.0, 1.0))
