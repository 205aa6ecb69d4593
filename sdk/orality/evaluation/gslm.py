"""GSLM's text metrics of generated speech: its own auto-BLEU, self-BLEU and VERT.

They share names with Align-SLM's but not values ("a a a" has an auto-BLEU of 1.0 there and of 0.5
or 0.0 here). Definitions: Lakhotia et al. (2021) and their published `self_auto_bleu.py`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Literal

Tokens = Sequence[Hashable]
Combine = Literal["arithmetic", "geometric"]


def repeated_share(tokens: Tokens, n: int) -> float:
    """The share of n-grams that occur again wholly before or wholly after themselves.

    Unlike Align-SLM's auto-BLEU, an overlapping copy does not count. 0 if there is no n-gram.
    """
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
    if len(tokens) <= 1:
        return 0.0
    return _combine([repeated_share(tokens, size) for size in range(1, n + 1)], combine)


def self_bleu(texts: Sequence[Tokens], n: int = 2, combine: Combine = "geometric") -> float:
    """How much texts resemble each other: the mean BLEU of each against all others, in [0, 1].

    Modified n-gram precisions, no brevity penalty, no smoothing. Quadratic in GSLM, linear here.
    A text too short for an n-gram has no precision of that order and scores 0 in it. Fewer than
    two texts resemble nothing: 0.
    """
    if len(texts) < 2:
        return 0.0
    precisions = [_precisions(texts, size) for size in range(1, n + 1)]
    scores = [_combine(list(of_text), combine) for of_text in zip(*precisions, strict=True)]
    return math.fsum(scores) / len(scores)


def vert(texts: Sequence[Tokens]) -> float:
    """sqrt(self-BLEU2 x mean auto-BLEU2), both geometric: diversity between and within texts."""
    if not texts:
        return 0.0
    within = math.fsum(gslm_auto_bleu(text, 2, "geometric") for text in texts) / len(texts)
    return math.sqrt(self_bleu(texts) * within)


def _combine(shares: Sequence[float], combine: Combine) -> float:
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
