"""Spoken language models in TWIST's folder format, as an orality plugin.

TWIST (Hassid et al., 2023): a causal language model over de-duplicated HuBERT units, kept as a
Hugging Face folder whose config.json has one more key, `offset`: token id = unit id + offset.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from orality import ComponentConfig, SLMSpec, UnitSpec, hookimpl
from orality_slm_twist.folder import find_folder, named_units, read_folder

if TYPE_CHECKING:
    from orality_slm_twist.slm import TwistLM

__all__ = ["TwistConfig", "orality_slms"]


class TwistConfig(ComponentConfig):
    """Which model, and where and how it runs."""

    neutral: ClassVar[frozenset[str]] = frozenset({"rows", "cache_gib", "cuda_graphs"})

    checkpoint: str = "tiny"
    """`tiny` (shipped), a folder, a zip file of one, or a name that orality.fetch knows, such as
    `twist-350m`."""
    device: str = "auto"
    """`auto` takes the GPU where there is one."""
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """What the weights are converted to, whatever they are stored in."""
    codebook: str | None = None
    """Name of the codebook, for folders without units.json; None: TWIST's own where it fits."""
    offset: int | None = Field(None, ge=0)
    """Token id = unit id + offset; for a causal language model whose config.json does not say."""
    mask_repeats: bool | None = None
    """Never sample the same unit twice in a row. None: where units.json says de-duplicated; TWIST's
    own folders have none and are sampled as its authors do, without such a mask."""
    engine: Literal["auto", "torch", "transformers", "vllm"] = "auto"
    """What writes continuations. `torch`: a step of our own, for OPT, Llama, Mistral and Qwen2;
    `transformers`: the model's own forward, for any; `auto`: the first where it can, else the
    second; `vllm`: vLLM, whose draws differ."""
    rows: int | None = Field(None, ge=1)
    """How many continuations are written at a time; None: 160 on a processor, 1024 on a GPU."""
    cache_gib: float = Field(4.0, gt=0)
    """GiB that keys and values may take; fewer rows are written at a time where they need more."""
    cuda_graphs: bool = True
    """On a GPU, a step is recorded once and replayed, instead of started kernel by kernel."""


def _describe(config: TwistConfig) -> UnitSpec | None:
    path = find_folder(config.checkpoint)
    if path is None:
        return named_units(config.checkpoint, config.codebook)
    return read_folder(path, config.codebook, config.offset).unit_spec


def _context_length(config: TwistConfig) -> int | None:
    path = find_folder(config.checkpoint)
    return (
        None if path is None else read_folder(path, config.codebook, config.offset).context_length
    )


def _batch_size(config: TwistConfig) -> int:
    """Twice the prompts whose five samples are written at a time, so that ended rows go on."""
    rows = config.rows or (1024 if config.device.startswith("cuda") else 160)
    return max(8, 2 * rows // 5)


def _build(config: TwistConfig) -> TwistLM:
    from orality_slm_twist.generation import Running
    from orality_slm_twist.loading import load_twist

    return load_twist(
        config.checkpoint,
        device=config.device,
        dtype=config.dtype,
        codebook=config.codebook,
        offset=config.offset,
        mask_repeats=config.mask_repeats,
        running=Running(
            engine=config.engine,
            rows=config.rows,
            cache_gib=config.cache_gib,
            cuda_graphs=config.cuda_graphs,
        ),
    )


@hookimpl
def orality_slms() -> Iterable[SLMSpec[Any]]:
    """The `twist` spoken language model."""
    yield SLMSpec(
        name="twist",
        config=TwistConfig,
        build=_build,
        describe=_describe,
        context_length=_context_length,
        batch_size=_batch_size,
    )
