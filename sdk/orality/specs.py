"""What a plugin registers: typed specs that describe a component before it is built."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

from pydantic import Field

from orality.protocols import Judge, SpeechLM, SpeechTokenizer, Transcriber, Vocoder
from orality.types import UnitSpec
from orality.untrusted.settings import Settings

KINDS = ("tokenizer", "slm", "vocoder", "transcriber", "judge")
READABLE = frozenset({"text", "audio", "units"})


class ComponentConfig(Settings):
    """Base of every component's configuration: unknown keys are errors, values never change.

    A field that names a file or folder is a `str` or a `Path`, and takes both. Secrets do not
    belong here: a component reads them from the environment when it is built. A message about a
    wrong value never repeats it, since it may be one.
    """

    neutral: ClassVar[frozenset[str]] = frozenset()
    """Settings that never change a result (a time limit, a budget): a run goes on with others."""
    language_of_recipe: ClassVar[bool] = False
    """Whether a setting `language` that is left out is the recipe's language."""


class TokenPrice(Settings):
    """What a server charges, in US dollars per million tokens."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)


class ServerJudgeConfig(ComponentConfig):
    """What judges behind a server have in common; see `orality.judging`."""

    neutral: ClassVar[frozenset[str]] = frozenset(
        {"attempts", "cache", "concurrency", "max_cost", "max_failures", "price", "timeout"}
    )

    rubric: Path | None = None
    """A Jinja template with `nonce`, `language` and `answer`; None: the shipped one."""
    max_characters: int = Field(4000, ge=1, le=20_000)
    """Longer transcripts are cut."""
    cache: Path | None = None
    """The SQLite file that keeps answers; None: one in orality's cache folder."""
    concurrency: int = Field(8, ge=1, le=256)
    """Calls under way at a time."""
    attempts: int = Field(6, ge=1)
    """How often a call is made that fails in a way worth another try."""
    timeout: float = Field(60.0, gt=0)
    """Seconds without any sign of the server."""
    max_failures: int = Field(10, ge=1)
    """Items in a row that may fail before the run stops."""
    max_cost: float | None = Field(None, gt=0)
    """US dollars that may be spent on the answers in `cache`, in all runs together."""
    price: TokenPrice | None = None
    """Instead of what is known of the model, or where nothing is."""


ConfigT = TypeVar("ConfigT", bound=ComponentConfig)
BuiltT = TypeVar("BuiltT")


@dataclass(frozen=True, kw_only=True)
class ComponentSpec(Generic[ConfigT, BuiltT]):
    """A component that can be asked for by name.

    `build` may import and load whatever it needs; everything before it must stay light.
    `local`: nothing leaves this machine or its private network when the component runs; a function
    where the configuration decides. Others are refused under ORALITY_LOCAL_ONLY=1 and in recipes
    with `local_only: true`.
    """

    name: str
    config: type[ConfigT]
    build: Callable[[ConfigT], BuiltT]
    local: bool | Callable[[ConfigT], bool] = True

    def is_local(self, config: ConfigT) -> bool:
        """Whether all data stays here with this configuration."""
        return self.local(config) if callable(self.local) else self.local


@dataclass(frozen=True, kw_only=True)
class TokenizerSpec(ComponentSpec[ConfigT, SpeechTokenizer]):
    """A speech tokenizer. `describe` reads small files at most: no weights, no torch; it returns
    None when the units cannot be known before the weights are at hand."""

    describe: Callable[[ConfigT], UnitSpec | None]


@dataclass(frozen=True, kw_only=True)
class SLMSpec(ComponentSpec[ConfigT, SpeechLM]):
    """A spoken language model. `context_length` answers in tokens, or None when unknown.

    `batch_size`: how many prompts it is given at a time while pairs are made.
    """

    describe: Callable[[ConfigT], UnitSpec | None]
    context_length: Callable[[ConfigT], int | None] = lambda config: None
    batch_size: Callable[[ConfigT], int] = lambda config: 8


@dataclass(frozen=True, kw_only=True)
class VocoderSpec(ComponentSpec[ConfigT, Vocoder]):
    """A vocoder."""

    describe: Callable[[ConfigT], UnitSpec | None]


@dataclass(frozen=True, kw_only=True)
class TranscriberSpec(ComponentSpec[ConfigT, Transcriber]):
    """A transcriber. `languages`: ISO 639-1 codes it can be asked for; None means any."""

    languages: Callable[[ConfigT], frozenset[str] | None] = lambda config: None
    output_language: Callable[[ConfigT], str | None] = lambda config: None


@dataclass(frozen=True, kw_only=True)
class JudgeSpec(ComponentSpec[ConfigT, Judge]):
    """A judge. `reads`: what it needs of {text, audio, units}; `scale`: lowest and highest score;
    `languages`: ISO 639-1 codes it understands, None means any; `batch_size`: how many requests it
    is given at a time while pairs are made (what was judged is stored after each batch); `price`:
    what its server charges, None where that is not known or nothing is."""

    reads: frozenset[str]
    scale: tuple[float, float]
    languages: Callable[[ConfigT], frozenset[str] | None] = field(default=lambda config: None)
    batch_size: Callable[[ConfigT], int] = field(default=lambda config: 20)
    price: Callable[[ConfigT], TokenPrice | None] = field(default=lambda config: None)
