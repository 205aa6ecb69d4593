"""NeMo's transcribe, with its two traps avoided."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from orality import CheckpointError, PluginError, Transcript, Waveform, resample
from orality.checkpoints import note_checkpoint

if TYPE_CHECKING:
    from orality_asr_nemo import NemoConfig

SAMPLE_RATE = 16_000
SILENCE = 1e-4  # root mean square below which nothing was said


def load_transcriber(config: NemoConfig) -> NemoTranscriber:
    """Import NeMo and load the checkpoint; PluginError says how to install it."""
    try:
        asr = importlib.import_module("nemo.collections.asr.models")
    except ImportError as error:
        raise PluginError(
            "the transcriber 'nemo' needs NVIDIA NeMo: pip install 'orality-asr-nemo[nemo]'"
        ) from error
    location = None if config.device == "auto" else config.device
    try:
        if Path(config.checkpoint).is_file():
            note_checkpoint(Path(config.checkpoint))
            model = asr.ASRModel.restore_from(config.checkpoint, map_location=location)
        else:
            model = asr.ASRModel.from_pretrained(config.checkpoint, map_location=location)
    except Exception as error:  # NeMo raises whatever its parts raise
        raise CheckpointError(
            f"NeMo cannot load {config.checkpoint}: {type(error).__name__}: {error}"
        ) from error
    settings = importlib.import_module("nemo.collections.asr.parts.mixins").TranscribeConfig
    return NemoTranscriber(model.eval(), settings, config.language, config.batch_size)


class NemoTranscriber:
    """Transcribes arrays; silence gives an empty text without asking the model."""

    sample_rate = SAMPLE_RATE

    def __init__(self, model: Any, settings: Any, language: str, batch_size: int) -> None:
        self.model, self.settings = model, settings
        self.language, self.batch_size = language, batch_size

    def transcribe(
        self, batch: Sequence[Waveform], *, language: str | None = None
    ) -> list[Transcript]:
        """One transcript each, in order."""
        texts = [""] * len(batch)
        samples = [resample(waveform, SAMPLE_RATE).samples for waveform in batch]
        spoken = [index for index, x in enumerate(samples) if _is_spoken(x)]
        if spoken:
            settings = self.settings(batch_size=self.batch_size, verbose=False)
            # Arrays below 1 s would be padded on both sides, unlike files, and read differently.
            settings.pad_min_duration = 0.0
            heard = self.model.transcribe(
                [samples[index] for index in spoken], override_config=settings
            )
            self.model.eval()  # transcribe leaves parts of the model in training mode
            for index, hypothesis in zip(spoken, heard, strict=True):
                texts[index] = str(getattr(hypothesis, "text", hypothesis)).strip()
        return [Transcript(text=text, language=language or self.language) for text in texts]


def _is_spoken(samples: np.ndarray[Any, Any]) -> bool:
    return len(samples) > 0 and float(np.sqrt(np.mean(samples**2))) > SILENCE
