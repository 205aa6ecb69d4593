"""Unit HiFi-GAN vocoders in CodeHiFiGAN's folder format, as an orality plugin.

Polyak et al. 2021 (speech resynthesis from units) with the duration predictor of Lee et al. 2021;
the vocoder of TWIST and textlesslib.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orality import ComponentConfig, UnitSpec, VocoderSpec, hookimpl
from orality_vocoder_hifigan.folder import find_folder, named_units, read_folder

if TYPE_CHECKING:
    from orality_vocoder_hifigan.vocoder import UnitHifiGan

__all__ = ["HifiGanConfig", "orality_vocoders"]


class HifiGanConfig(ComponentConfig):
    """Which vocoder, how it treats durations, and where it runs."""

    checkpoint: str = "tiny"
    """`tiny` (shipped), a folder, or a name that orality.fetch knows."""
    predict_durations: bool = True
    """True: ids are de-duplicated units and the vocoder decides how many frames each lasts.
    False: every id is one frame."""
    given_durations: bool = False
    """Units that carry durations last as long as they say; the others as `predict_durations` has
    it."""
    speaker: int = 0
    """Row of the speaker embedding, where the vocoder has several voices."""
    style: int = 0
    """Row of the style embedding, where the vocoder has several styles."""
    speaker_vector: Path | None = None
    """A `.npy` file with the speaker's vector, for vocoders that have no table of speakers."""
    f0: float | None = None
    """The pitch to speak at, for vocoders that read it beside the units: a class, or a number."""
    codebook: str | None = None
    """Name of the codebook, for folders without units.json."""
    device: str = "auto"
    """`auto` takes the GPU where there is one."""


def _describe(config: HifiGanConfig) -> UnitSpec | None:
    path = find_folder(config.checkpoint)
    if path is None:
        return named_units(config.checkpoint, config.codebook)
    return read_folder(path, config.codebook, f0=config.f0).unit_spec


def _build(config: HifiGanConfig) -> UnitHifiGan:
    from orality_vocoder_hifigan.loading import load_vocoder

    return load_vocoder(
        config.checkpoint,
        predict_durations=config.predict_durations,
        given_durations=config.given_durations,
        speaker=config.speaker,
        style=config.style,
        speaker_vector=config.speaker_vector,
        f0=config.f0,
        codebook=config.codebook,
        device=config.device,
    )


@hookimpl
def orality_vocoders() -> Iterable[VocoderSpec[Any]]:
    """The `hifigan` vocoder."""
    yield VocoderSpec(name="hifigan", config=HifiGanConfig, build=_build, describe=_describe)
