"""Whether a stack of components can work together, told before any weight is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from orality.errors import CompatibilityError
from orality.specs import READABLE, JudgeSpec, SLMSpec, TokenizerSpec, TranscriberSpec, VocoderSpec
from orality.text.languages import primary
from orality.types import UnitSpec


@dataclass(frozen=True, slots=True)
class Stack:
    """Five specs with their configurations, as `Registry.configure` returns them; the vocoder and
    the transcriber may be absent when the judge needs neither."""

    tokenizer: tuple[TokenizerSpec[Any], Any]
    slm: tuple[SLMSpec[Any], Any]
    judge: tuple[JudgeSpec[Any], Any]
    vocoder: tuple[VocoderSpec[Any], Any] | None = None
    transcriber: tuple[TranscriberSpec[Any], Any] | None = None


def find_problems(
    stack: Stack,
    *,
    language: str = "en",
    thresholds: Sequence[tuple[float, float]] = (),
    seconds: float = 0.0,
) -> list[str]:
    """Every reason why the stack cannot work, in words; an empty list means that it can.

    `thresholds`: (rejected, chosen) of each round. `seconds`: the longest prompt plus continuation.
    """
    problems = [*_unit_problems(stack), *judge_problems(stack, language)]
    problems += _threshold_problems(stack.judge[0], thresholds)
    problems += _length_problems(stack, seconds)
    return problems


def check_stack(stack: Stack, **limits: Any) -> None:
    """Raise CompatibilityError with all problems that `find_problems` sees."""
    problems = find_problems(stack, **limits)
    if problems:
        raise CompatibilityError(problems)


def compare_units(left: str, a: UnitSpec, right: str, b: UnitSpec) -> list[str]:
    """How two unit specs differ; fingerprints count only where both state one."""
    problems = []
    for item in fields(UnitSpec):
        first, second = getattr(a, item.name), getattr(b, item.name)
        if item.name == "fingerprint" and None in (first, second):
            continue
        if first != second:
            problems.append(f"units.{item.name}: {left} has {first!r}, {right} has {second!r}")
    return problems


def _unit_problems(stack: Stack) -> list[str]:
    spec, config = stack.tokenizer
    tokenizer_units = spec.describe(config)
    problems: list[str] = []
    others: list[tuple[str, UnitSpec | None]] = [("slm", stack.slm[0].describe(stack.slm[1]))]
    if stack.vocoder is not None:
        others.append(("vocoder", stack.vocoder[0].describe(stack.vocoder[1])))
    reference = ("tokenizer", tokenizer_units)
    for name, units in others:
        if reference[1] is None:
            reference = (name, units)
        elif units is not None:
            problems += compare_units(reference[0], reference[1], name, units)
    return problems


def judge_problems(stack: Stack, language: str) -> list[str]:
    """Why the stack's judge cannot read what the stack gives it, in words."""
    judge, judge_config = stack.judge
    problems: list[str] = []
    unknown = judge.reads - READABLE
    if unknown or not judge.reads:
        problems.append(
            f"judge {judge.name!r} reads {sorted(judge.reads)}; "
            f"it must read some of {sorted(READABLE)}"
        )
    if "text" in judge.reads and stack.transcriber is None:
        problems.append(f"judge {judge.name!r} reads text, but there is no transcriber")
    if {"text", "audio"} & judge.reads and stack.vocoder is None:
        problems.append(f"judge {judge.name!r} reads text or audio, but there is no vocoder")
    if "text" not in judge.reads:
        return problems
    text_language = language
    if stack.transcriber is not None:
        spec, config = stack.transcriber
        problems += hearing_problems(spec, config, language)
        text_language = spec.output_language(config) or language
    judged = judge.languages(judge_config)
    if not _knows(judged, text_language):
        problems.append(
            f"language: the transcripts are in {text_language!r}, judge {judge.name!r} reads "
            f"{', '.join(sorted(judged or ()))}"
        )
    return problems


def hearing_problems(spec: TranscriberSpec[Any], config: Any, language: str) -> list[str]:
    """Why a transcriber does not understand what is spoken, in words."""
    spoken = spec.languages(config)
    if _knows(spoken, language):
        return []
    return [
        f"language: the recipe speaks {language!r}, transcriber {spec.name!r} understands "
        f"{', '.join(sorted(spoken or ()))}"
    ]


def listening_problems(
    stack: Stack,
    language: str,
    *,
    corpus: tuple[TranscriberSpec[Any], Any] | None,
    evaluation: tuple[TranscriberSpec[Any], Any] | None,
    judges: Mapping[str, tuple[JudgeSpec[Any], Any]],
) -> list[str]:
    """Why the corpus' transcriber does not understand what is spoken, or the evaluation's judges
    (by their places in the recipe) cannot read what its own transcriber (or the stack's) hears."""
    problems = []
    if corpus is not None:
        heard = hearing_problems(*corpus, language)
        problems += [f"corpus.transcriber: {problem}" for problem in heard]
    if evaluation is not None:
        stack = replace(stack, transcriber=evaluation)
    for place, judge in judges.items():
        found = judge_problems(replace(stack, judge=judge), language)
        problems += [f"{place}: {problem}" for problem in found]
    return problems


def _knows(languages: frozenset[str] | None, language: str) -> bool:
    return languages is None or primary(language) in map(primary, languages)


def _threshold_problems(
    judge: JudgeSpec[Any], thresholds: Sequence[tuple[float, float] | None]
) -> list[str]:
    low, high = judge.scale
    problems: list[str] = []
    for number, scores in enumerate(thresholds, start=1):
        if scores is None:  # read off the scores themselves
            continue
        rejected, chosen = scores
        if not rejected < chosen:
            problems.append(
                f"round {number}: the threshold for chosen ({chosen:g}) must be above the one for "
                f"rejected ({rejected:g})"
            )
        for name, value in (("rejected", rejected), ("chosen", chosen)):
            if not low <= value <= high:
                problems.append(
                    f"round {number}: threshold {name}={value:g} is outside the scale "
                    f"{low:g} to {high:g} of judge {judge.name!r}"
                )
    return problems


def _length_problems(stack: Stack, seconds: float) -> list[str]:
    spec, config = stack.slm
    units, context = spec.describe(config), spec.context_length(config)
    if units is None or context is None:
        return []
    needed = int(seconds * units.frame_rate) * units.num_codebooks
    if needed <= context:
        return []
    return [
        f"length: {seconds:g} s of prompt and continuation may need {needed} tokens, "
        f"slm {spec.name!r} holds {context}; shorten sampling.max_seconds"
    ]
