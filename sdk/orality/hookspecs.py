"""The five hooks a plugin may implement. Each is called once, without arguments, and yields specs.

A whole plugin:

    from orality import ComponentConfig, JudgeRequest, JudgeSpec, Verdict, hookimpl

    class WordCountConfig(ComponentConfig):
        target: int = 12

    class WordCount:
        def __init__(self, target): self.target = target
        def score(self, requests):
            lengths = [len((r.continuation_text or "").split()) for r in requests]
            return [Verdict(score=max(1.0, 5.0 - abs(n - self.target))) for n in lengths]

    @hookimpl
    def orality_judges():
        yield JudgeSpec(
            name="word-count",
            config=WordCountConfig,
            build=lambda config: WordCount(config.target),
            reads=frozenset({"text"}),
            scale=(1.0, 5.0),
        )

and in its pyproject.toml:

    [project.entry-points.orality]
    word_count = "acme_orality"
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pluggy

from orality.specs import JudgeSpec, SLMSpec, TokenizerSpec, TranscriberSpec, VocoderSpec

PROJECT = "orality"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def orality_tokenizers() -> Iterable[TokenizerSpec[Any]]:
    """Yield speech tokenizers.

    .. versionadded:: 0.1.0
    """
    yield from ()


@hookspec
def orality_slms() -> Iterable[SLMSpec[Any]]:
    """Yield spoken language models.

    .. versionadded:: 0.1.0
    """
    yield from ()


@hookspec
def orality_vocoders() -> Iterable[VocoderSpec[Any]]:
    """Yield vocoders.

    .. versionadded:: 0.1.0
    """
    yield from ()


@hookspec
def orality_transcribers() -> Iterable[TranscriberSpec[Any]]:
    """Yield transcribers.

    .. versionadded:: 0.1.0
    """
    yield from ()


@hookspec
def orality_judges() -> Iterable[JudgeSpec[Any]]:
    """Yield judges.

    .. versionadded:: 0.1.0
    """
    yield from ()
