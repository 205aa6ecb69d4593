"""Checkpoints the papers used, under short names. The addresses are their authors' own."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from orality.weights.sources import Checkpoint, Hub, Url

_TWIST = "https://dl.fbaipublicfiles.com/textless_nlp/twist"
_TOKENIZER = f"{_TWIST}/speech_tokenizer"


def _twist(size: str) -> Checkpoint:
    # No sha256 of these archives is published; the one that arrives is written down.
    source = Url(f"{_TWIST}/lms/TWIST-{size}.zip", unpack=True)
    return Checkpoint(f"twist-{size.lower()}", (source,))


def _whisper(size: str, revision: str) -> Checkpoint:
    # The repositories also hold the weights in four other formats.
    files = (
        "config.json", "generation_config.json", "preprocessor_config.json", "tokenizer.json",
        "tokenizer_config.json", "model.safetensors",
    )  # fmt: skip
    hub = Hub(f"openai/whisper-{size}", revision, files)
    return Checkpoint(f"whisper-{size}", (hub,), license="Apache-2.0")


_ALL = (
    Checkpoint(
        "mistralai/Mistral-7B-Instruct-v0.2",
        (
            Hub(
                "mistralai/Mistral-7B-Instruct-v0.2",
                "63a8b081895390a26e140280378bc85ec8bce07a",
                files=("*.json", "model*.safetensors", "tokenizer.model"),
            ),
        ),
        license="Apache-2.0",
    ),
    Checkpoint(
        "mhubert-base-25hz",
        (
            Hub(
                "slprl/mhubert-base-25hz",
                "a319086e1d343190047d02b7f81133fb310c1b90",
            ),
        ),
        license="MIT",
    ),
    Checkpoint(
        "mhubert-base-25hz-l11-km500",
        (
            Url(
                f"{_TOKENIZER}/mhubert_base_25hz_cp_mls_cv_sp_fisher_L11_km500.bin",
                "03cc04a9c24fec4285e73e709c485756d8f116aa8e724eac555de6a7cf8d28ad",
            ),
        ),
    ),
    _twist("350M"),
    _twist("1.3B"),
    _twist("7B"),
    Checkpoint(
        "hifigan-lj-mhubert-base-25hz",
        (
            Url(
                f"{_TOKENIZER}/hifigan_lj_mhubert_base_25hz.pt",
                "d88224e95c501e2cd59a6e4014753169cfe060fb7ade3cc0da03c809fef73b79",
                name="generator.pt",
            ),
            Url(
                f"{_TOKENIZER}/hifigan_lj_mhubert_base_25hz_config.json",
                "116dc39be4970cd393e562acd0a0ec70a86aaba7e9ca469b8b836cb3fe46afc7",
                name="config.json",
            ),
        ),
    ),
    _whisper("large-v2", "ae4642769ce2ad8fc292556ccea8e901f1530655"),
    _whisper("large-v3", "06f233fe06e710322aca913c1bc4249a0d71fce1"),
)

CATALOG: Mapping[str, Checkpoint] = MappingProxyType({item.name: item for item in _ALL})
