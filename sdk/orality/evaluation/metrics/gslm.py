"""GSLM's text metrics of generated speech: its own auto-BLEU, self-BLEU and VERT.

They share names with Align-SLM's but not values ("a a a" has an auto-BLEU of 1.0 there and of 0.5
or 0.0 here). Definitions: Lakhotia et al. (2021) and their published `self_auto_bleu.py`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Literal, get_args

from orality.errors import EvaluationError
from orality.text.scripts import tokens as script_tokens

Tokens = Sequence[Hashable]
"""A text: a string is split at white space, as GSLM does, and into characters where a script has no
spaces; anything else is taken as it is."""
Combine = Literal["arithmetic", "geometric"]
UTTERANCES = 1000
"""How many utterances GSLM compares: texts are the more alike the more there are."""


def repeated_share(tokens: Tokens, n: int) -> float:
    """The share of n-grams that occur again wholly before or wholly after themselves.

    Unlike Align-SLM's auto-BLEU, an overlapping copy does not count. 0 if there is no n-gram.
    """
    tokens = split(tokens)
    if n < 1:
        raise EvaluationError(f"n-grams have at least 1 token, got n={n}")
    grams = [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]
    if not grams:
        return 0.0
    first: dict[tuple[Hashable, ...], int] = {}
    last: dict[tuple[Hashable, ...], int] = {}
    for place, gram in enumerate(grams):
        first.setdefault(gram, place)
        last[gram] = place
    repeated = sum(
        first[gram] <= place - n or last[gram] >= place + n for place, gram in enumerate(grams)
    )
    return repeated / len(grams)


def gslm_auto_bleu(tokens: Tokens, n: int = 2, combine: Combine = "arithmetic") -> float:
    """The mean of the repeated shares of 1- to n-grams, in [0, 1].

    `n=2` with the arithmetic mean is the published Auto-BLEU2; VERT uses the geometric one. A
    text of at most one token gives 0.
    """
    tokens = split(tokens)
    if len(tokens) <= 1:
        return 0.0
    return _combine([repeated_share(tokens, size) for size in range(1, n + 1)], combine)


def self_bleus(texts: Sequence[Tokens], n: int = 2, combine: Combine = "geometric") -> list[float]:
    """How much each text resembles the others: its BLEU against all of them, in [0, 1].

    Modified n-gram precisions, no brevity penalty, no smoothing. Quadratic in GSLM, linear here.
    A text too short for an n-gram has no precision of that order and scores 0 in it; a text alone
    resembles nothing: 0.
    """
    words = _texts(texts)
    if n < 1:
        raise EvaluationError(f"n-grams have at least 1 token, got n={n}")
    if len(words) < 2:
        return [0.0] * len(words)
    precisions = [_precisions(words, size) for size in range(1, n + 1)]
    return [_combine(list(of_text), combine) for of_text in zip(*precisions, strict=True)]


def self_bleu(texts: Sequence[Tokens], n: int = 2, combine: Combine = "geometric") -> float:
    """How much texts resemble each other: the mean of `self_bleus`, 0 without texts."""
    scores = self_bleus(texts, n, combine)
    return math.fsum(scores) / len(scores) if scores else 0.0


def vert(texts: Sequence[Tokens], *, limit: int | None = UTTERANCES) -> float:
    """sqrt(self-BLEU2 x mean auto-BLEU2), both geometric: diversity between and within texts.

    In [0, 1], lower is more diverse. Takes the first `limit` texts (GSLM: the 1000 shortest
    utterances of at least 6 s), all of them where it is None. Texts that are empty count, as 0.
    """
    if limit is not None and limit < 1:
        raise EvaluationError(f"VERT compares at least one text, got limit={limit}")
    words = _texts(texts)[:limit]
    if not words:
        return 0.0
    within = math.fsum(gslm_auto_bleu(text, 2, "geometric") for text in words) / len(words)
    return math.sqrt(self_bleu(words) * within)


def split(text: Tokens) -> list[Hashable]:
    """A text's tokens; EvaluationError for what is none."""
    if isinstance(text, str):
        return list(script_tokens(text))
    if not isinstance(text, Sequence) and not hasattr(text, "tolist"):
        raise EvaluationError(f"a text is a string or a sequence of tokens, got {text!r}")
    return list(text)


def _texts(texts: Sequence[Tokens]) -> list[list[Hashable]]:
    if isinstance(texts, str):
        raise EvaluationError("wanted a sequence of texts, got a single string; put it in a list")
    return [split(text) for text in texts]


def _combine(shares: Sequence[float], combine: Combine) -> float:
    if combine not in get_args(Combine):
        raise EvaluationError(f"combine is one of {', '.join(get_args(Combine))}, got {combine!r}")
    if combine == "arithmetic":
        return math.fsum(shares) / len(shares)
    return math.prod(math.pow(share, 1 / len(shares)) for share in shares)


def _precisions(texts: Sequence[Tokens], n: int) -> list[float]:
    counts = [Counter(tuple(t[i : i + n]) for i in range(len(t) - n + 1)) for t in texts]
    # The highest count of each n-gram, its text, and the highest among the other texts.
    best: dict[tuple[Hashable, ...], tuple[int, int, int]] = {}
    for index, count in enumerate(counts):
        for gram, number in count.items():
            top, owner, second = best.get(gram, (0, -1, 0))
            if number > top:
                best[gram] = (number, index, top)
            elif number > second:
                best[gram] = (top, owner, number)
    shares = []
    for index, count in enumerate(counts):
        matched = 0
        for gram, number in count.items():
            top, owner, second = best[gram]
            matched += min(number, second if owner == index else top)
        shares.append(matched / count.total() if count else 0.0)
    return shares
