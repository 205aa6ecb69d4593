"""The expected score under the probabilities of the digits (G-Eval, arXiv 2303.16634)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orality.judging import SCORES

_AROUND = " \t\r\n\u2581\u0120\"'`*()[]{}$"  # ▁ and Ġ: how vocabularies write a leading space


@dataclass(frozen=True, slots=True)
class Digits:
    """`expected`: the mean score under the digits' shares of `mass`, their total probability."""

    expected: float
    mass: float


def digits_of(logprobs: Any, rating: int) -> Digits | None:
    """Read `choices[0].logprobs` at the token that wrote `rating`; None where that is not there.

    Summed over all ways to write each digit; what is not among the most likely tokens counts as 0.
    """
    content = logprobs.get("content") if isinstance(logprobs, Mapping) else None
    for token in content if isinstance(content, list) else []:
        if isinstance(token, Mapping) and _digit(token) == rating:
            break
    else:
        return None
    mass = dict.fromkeys(SCORES, 0.0)
    for one in _distinct([*_listed(token), token]):
        digit = _digit(one)
        if digit is not None:
            mass[digit] += math.exp(min(0.0, one["logprob"]))
    total = math.fsum(mass.values())
    if total <= 0.0:
        return None
    expected = math.fsum(digit * share for digit, share in mass.items()) / total
    # rounding alone can carry sums past their ends
    return Digits(min(5.0, max(1.0, expected)), min(1.0, total))


def _listed(token: Mapping[str, Any]) -> list[Any]:
    listed = token.get("top_logprobs")
    return listed if isinstance(listed, list) else []


def _distinct(tokens: list[Any]) -> list[Mapping[str, Any]]:
    """Each token once: the one that was drawn may, or may not, be among the listed."""
    found: dict[str, Mapping[str, Any]] = {}
    for one in tokens:
        if isinstance(one, Mapping) and _is_number(one.get("logprob")):
            found.setdefault(str(one.get("token")), one)
    return list(found.values())


def _is_number(value: Any) -> bool:
    # A whole number may be too large for a float.
    return type(value) in (int, float) and not math.isnan(value) and value > -1e9


def _digit(token: Mapping[str, Any]) -> int | None:
    text = str(token.get("token", "")).strip(_AROUND)
    return int(text) if text in {str(score) for score in SCORES} else None
