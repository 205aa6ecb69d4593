"""Neural audio codecs as tokenizer and vocoder, as an orality plugin.

EnCodec (Défossez et al. 2022, arXiv 2210.13438), DAC (Kumar et al. 2023, arXiv 2306.06546) and Mimi
(Défossez et al. 2024, arXiv 2410.00037), in the folders that transformers saves.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pydantic import Field

from orality import ComponentConfig, TokenizerSpec, UnitSpec, VocoderSpec, hookimpl
from orality_tokenizer_codec.folder import find_folder, read_folder

if TYPE_CHECKING:
    from orality_tokenizer_codec.tokenizer import CodecTokenizer
    from orality_tokenizer_codec.vocoder import CodecVocoder

__all__ = ["CodecConfig", "orality_tokenizers", "orality_vocoders"]


class CodecConfig(ComponentConfig):
    """Which codec and how many of its codebooks; tokenizer and vocoder are configured alike."""

    checkpoint: str
    """A transformers folder of EnCodec, Mimi or DAC, or a name that orality.fetch knows."""
    num_codebooks: int | None = Field(default=None, ge=1)
    """The first so many of the residual codebooks; None: all. With 1, units are plain ids."""
    bandwidth: float | None = Field(default=None, gt=0)
    """In kbit/s, one of EnCodec's: another way to say `num_codebooks`."""
    codebook: str | None = None
    """What the units are called, up to their number; None: the last part of `checkpoint`."""
    device: str = "auto"
    """`auto` takes the GPU where there is one."""


def _describe(config: CodecConfig) -> UnitSpec | None:
    path = find_folder(config.checkpoint)
    if path is None:
        return None
    return read_folder(
        path,
        num_codebooks=config.num_codebooks,
        bandwidth=config.bandwidth,
        codebook=config.codebook,
    ).unit_spec


def _build_tokenizer(config: CodecConfig) -> CodecTokenizer:
    from orality_tokenizer_codec.loading import load_codec
    from orality_tokenizer_codec.tokenizer import CodecTokenizer

    return CodecTokenizer(load_codec(**config.model_dump()))


def _build_vocoder(config: CodecConfig) -> CodecVocoder:
    from orality_tokenizer_codec.loading import load_codec
    from orality_tokenizer_codec.vocoder import CodecVocoder

    return CodecVocoder(load_codec(**config.model_dump()))


@hookimpl
def orality_tokenizers() -> Iterable[TokenizerSpec[Any]]:
    """The `codec` tokenizer."""
    yield TokenizerSpec(
        name="codec", config=CodecConfig, build=_build_tokenizer, describe=_describe
    )


@hookimpl
def orality_vocoders() -> Iterable[VocoderSpec[Any]]:
    """The `codec` vocoder."""
    yield VocoderSpec(name="codec", config=CodecConfig, build=_build_vocoder, describe=_describe)
