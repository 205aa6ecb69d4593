"""Alignment of spoken language models with AI feedback."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from orality.errors import (
    AudioError,
    CheckpointError,
    CompatibilityError,
    CorpusError,
    DownloadError,
    EvaluationError,
    JudgeError,
    OralityError,
    PluginError,
    RecipeError,
    SharingError,
    StoreError,
    TrainingError,
)
from orality.hookspecs import hookimpl
from orality.plugins import build, load
from orality.protocols import (
    Aligner,
    Judge,
    SpeechLM,
    SpeechTokenizer,
    SupportsAlignment,
    SupportsScoredIds,
    SupportsWordTimes,
    Transcriber,
    Vocoder,
)
from orality.specs import (
    ComponentConfig,
    JudgeSpec,
    ServerJudgeConfig,
    SLMSpec,
    TokenizerSpec,
    TokenPrice,
    TranscriberSpec,
    VocoderSpec,
)
from orality.types import (
    JudgeRequest,
    PreferencePair,
    Sample,
    SamplingOptions,
    Transcript,
    Units,
    UnitSpec,
    Verdict,
    Waveform,
    Word,
)

if TYPE_CHECKING:
    from orality.audio import read_audio, resample, write_audio
    from orality.pretraining import pretrain
    from orality.recipe import Recipe
    from orality.report import write_report
    from orality.run import align, build_pairs, evaluate, train
    from orality.sharing import push
    from orality.weights import fetch

__version__ = "0.1.0"

__all__ = [
    "Aligner",
    "AudioError",
    "CheckpointError",
    "CompatibilityError",
    "ComponentConfig",
    "CorpusError",
    "DownloadError",
    "EvaluationError",
    "Judge",
    "JudgeError",
    "JudgeRequest",
    "JudgeSpec",
    "OralityError",
    "PluginError",
    "PreferencePair",
    "Recipe",
    "RecipeError",
    "SLMSpec",
    "Sample",
    "SamplingOptions",
    "ServerJudgeConfig",
    "SharingError",
    "SpeechLM",
    "SpeechTokenizer",
    "StoreError",
    "SupportsAlignment",
    "SupportsScoredIds",
    "SupportsWordTimes",
    "TokenPrice",
    "TokenizerSpec",
    "TrainingError",
    "Transcriber",
    "TranscriberSpec",
    "Transcript",
    "UnitSpec",
    "Units",
    "Verdict",
    "Vocoder",
    "VocoderSpec",
    "Waveform",
    "Word",
    "align",
    "build",
    "build_pairs",
    "evaluate",
    "fetch",
    "hookimpl",
    "load",
    "pretrain",
    "push",
    "read_audio",
    "resample",
    "train",
    "write_audio",
    "write_report",
]

# Public names whose modules need torch, pyarrow or soundfile: imported when first asked for.
_LAZY = {
    "Recipe": "orality.recipe",
    "align": "orality.run",
    "build_pairs": "orality.run",
    "evaluate": "orality.run",
    "fetch": "orality.weights",
    "pretrain": "orality.pretraining",
    "push": "orality.sharing",
    "read_audio": "orality.audio",
    "resample": "orality.audio",
    "train": "orality.run",
    "write_audio": "orality.audio",
    "write_report": "orality.report",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'orality' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
