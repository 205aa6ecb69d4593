"""The pretraining recipe: what a stack of one's own is made from, and how large it becomes."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, ValidationError, model_validator

from orality.errors import RecipeError
from orality.untrusted.documents import read_yaml
from orality.untrusted.settings import Settings
from orality.untrusted.validation import listed, mistakes


class SpeechOptions(Settings):
    """Where speech comes from."""

    corpus: str
    """`stories` makes synthetic speech with hibari-tts; anything else is a folder of audio."""
    sentences: int = Field(16_000, ge=100)
    """`stories` only: how many different sentences are spoken."""
    voices: list[str] = Field(["hibari"], min_length=1)
    """`stories` only: the first voice is what the language model and the vocoder learn; `rms`
    speaks test sentences alone."""
    vocoder_voice: str | None = None
    """Folders only: the voice (manifest, or name of the parent folder) the vocoder learns; None
    takes them all."""


class QuantizerOptions(Settings):
    """The HuBERT encoder and its k-means."""

    targets: Literal["mfcc", "alignment"] = "mfcc"
    """`mfcc` needs speech alone; `alignment` learns from the phones that a corpus carries."""
    iterations: int = Field(1, ge=1)
    """Further iterations learn from clusters of the encoder before (HuBERT)."""
    units: int = Field(100, ge=2)
    width: int = Field(256, ge=16, multiple_of=16)
    layers: int = Field(5, ge=1)
    layer: int | None = Field(None, ge=0)
    """The layer to cluster; None measures which tells most about phones, and takes the one at two
    thirds of the height where no phones are known."""
    steps: int = Field(4000, ge=1)

    @model_validator(mode="after")
    def _layer_exists(self) -> Self:
        if self.layer is not None and self.layer > self.layers:
            raise ValueError(f"layer {self.layer} does not exist in an encoder of {self.layers}")
        return self


class UnitLMOptions(Settings):
    """The language model over units."""

    warm_start: str | None = None
    """A text language model's folder to start from (TWIST); sizes are then its own."""
    hidden_size: int = Field(256, ge=16)
    layers: int = Field(4, ge=1)
    context_length: int = Field(512, ge=16)
    steps: int = Field(20_000, ge=1)
    batch_tokens: int = Field(2_000, ge=64)
    learning_rate: float = Field(2e-3, gt=0)

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> Self:
        if self.hidden_size > 64 and self.hidden_size % 64:
            raise ValueError(f"hidden_size {self.hidden_size} is no multiple of 64")
        return self


class VocoderOptions(Settings):
    """The unit HiFi-GAN."""

    channels: int = Field(256, ge=16, multiple_of=16)
    steps: int = Field(15_000, ge=1)
    warm_up_steps: int = Field(0, ge=0)
    """Steps on the corpus's phones first, where it has them: the body learns to speak before the
    units are ready."""
    adversarial: bool = False
    """Discriminators: better sound, several times the work; for GPUs."""


class PretrainRecipe(Settings):
    """A whole stack."""

    name: str = Field(pattern=r"^[\w.-]+$")
    """Becomes part of the codebook's name: `orality-NAME-25hz/lLAYER/kmUNITS`."""
    description: str = ""
    seed: int = 0
    speech: SpeechOptions
    quantizer: QuantizerOptions
    unit_lm: UnitLMOptions
    vocoder: VocoderOptions

    @classmethod
    def load(cls, source: str | Path) -> PretrainRecipe:
        """Read a YAML file, or a shipped recipe by name; RecipeError lists every mistake."""
        path = Path(source)
        if not path.is_file():
            path = Path(str(resources.files(__package__) / "recipes" / f"{source}.yaml"))
        if not path.is_file():
            raise RecipeError(
                f"no pretraining recipe is called {str(source)!r}; give a file, or one of "
                f"{', '.join(shipped_pretrain_recipes())}"
            )
        data = read_yaml(path, RecipeError)
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise RecipeError(
                f"pretraining recipe {source} cannot be used:{listed(mistakes(error))}"
            ) from error


def shipped_pretrain_recipes() -> list[str]:
    """Names of the pretraining recipes that come with the package."""
    folder = resources.files(__package__) / "recipes"
    return sorted(Path(item.name).stem for item in folder.iterdir() if item.name.endswith(".yaml"))
