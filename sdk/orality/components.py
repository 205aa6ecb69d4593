"""What a plugin registers: typed specs that describe a component before it is built."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from orality.protocols import Judge, SpeechLM, SpeechTokenizer, Transcriber, Vocoder
from orality.types import UnitSpec

KINDS = ("tokenizer", "slm", "vocoder", "transcriber", "judge")
READABLE = frozenset({"text", "audio", "units"})


class ComponentConfig(BaseModel):
    """Base of every component's configuration: unknown keys are errors, values never change.

    Secrets do not belong here: a component reads them from the environment when it is built.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)


ConfigT = TypeVar("ConfigT", bound=ComponentConfig)
BuiltT = TypeVar("BuiltT")


@dataclass(frozen=True, kw_only=True)
class ComponentSpec(Generic[ConfigT, BuiltT]):
    """A component that can be asked for by name.

    `build` may import and load whatever it needs; everything before it must stay light.
    `local`: nothing leaves this machine when the component runs.
    """

    name: str
    config: type[ConfigT]
    build: Callable[[ConfigT], BuiltT]
    local: bool = True


@dataclass(frozen=True, kw_only=True)
class TokenizerSpec(ComponentSpec[ConfigT, SpeechTokenizer]):
    """A speech tokenizer. `describe` reads small files at most: no weights, no torch; it returns
    None when the units cannot be known before the weights are at hand."""

    describe: Callable[[ConfigT], UnitSpec | None]


@dataclass(frozen=True, kw_only=True)
class SLMSpec(ComponentSpec[ConfigT, SpeechLM]):
    """A spoken language model. `context_length` answers in tokens, or None when unknown."""

    describe: Callable[[ConfigT], UnitSpec | None]
    context_length: Callable[[ConfigT], int | None] = lambda config: None


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
    `languages`: ISO 639-1 codes it understands, None means any."""

    reads: frozenset[str]
    scale: tuple[float, float]
    languages: Callable[[ConfigT], frozenset[str] | None] = field(default=lambda config: None)
