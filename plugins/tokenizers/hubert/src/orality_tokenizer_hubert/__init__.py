"""K-means units of HuBERT, WavLM, wav2vec 2.0 and w2v-BERT 2.0, as an orality plugin."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pydantic import Field

from orality import ComponentConfig, TokenizerSpec, UnitSpec, hookimpl

if TYPE_CHECKING:
    from orality_tokenizer_hubert.tokenizer import HubertTokenizer

__all__ = ["HubertTokenizerConfig", "orality_tokenizers"]


class HubertTokenizerConfig(ComponentConfig):
    """Which encoder and codebook, and how recordings are fed to them."""

    checkpoint: str = "tiny"
    """`tiny` (shipped), a transformers folder, a fairseq `.pt`, or a name orality.fetch knows."""
    kmeans: str | None = None
    """A `.safetensors`, `.npy`, torch `.pt` or scikit-learn `.bin` file; None: the checkpoint's
    own."""
    layer: int | None = Field(default=None, ge=0)
    """Index into hidden_states; None: what the k-means file says."""
    codebook: str | None = None
    """Name of the codebook, where neither units.json nor the file names tell."""
    normalize: bool | None = None
    """Zero mean and unit variance per recording; None: as the encoder was trained. The published
    25 Hz units are made without."""
    deduplicate: bool = True
    """Merge repeated units."""
    max_chunk_seconds: float = Field(default=100.0, ge=1.0)
    """Longer recordings are cut without overlap."""
    device: str = "auto"
    """`auto` takes the GPU where there is one."""


def _describe(config: HubertTokenizerConfig) -> UnitSpec | None:
    from orality_tokenizer_hubert.folder import describe

    return describe(
        config.checkpoint,
        kmeans=config.kmeans,
        layer=config.layer,
        codebook=config.codebook,
        deduplicate=config.deduplicate,
    )


def _build(config: HubertTokenizerConfig) -> HubertTokenizer:
    from orality_tokenizer_hubert.loading import load_hubert_tokenizer

    return load_hubert_tokenizer(
        config.checkpoint,
        kmeans=config.kmeans,
        layer=config.layer,
        codebook=config.codebook,
        normalize=config.normalize,
        deduplicate=config.deduplicate,
        max_chunk_seconds=config.max_chunk_seconds,
        device=config.device,
    )


@hookimpl
def orality_tokenizers() -> Iterable[TokenizerSpec[Any]]:
    """The `hubert` tokenizer."""
    yield TokenizerSpec(
        name="hubert", config=HubertTokenizerConfig, build=_build, describe=_describe
    )
