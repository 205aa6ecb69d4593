"""auto-BLEU: how much a text repeats itself, in Align-SLM's definition."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence

from orality.errors import OralityError
from orality.text.scripts import words


def auto_bleu(text: str | Sequence[Hashable], n: int = 2) -> float:
    """The share of a text's n-grams that occur elsewhere in the same text, in [0, 1].

    Overlapping n-grams count ("a a a" gives 1.0) and a text too short to hold an n-gram gives 0.
    A string is split by `text.scripts.words`, into characters where a script has no spaces; a
    sequence of tokens (units, say) is taken as it is. Align-SLM filters at 0.1 with n=2 and prints
    the value times 100. GSLM's metrics of the same name are other definitions with other values:
    `orality.evaluation.metrics.gslm`.
    """
    if n < 1:
        raise OralityError(f"auto-BLEU counts n-grams of at least 1 token, got n={n}")
    tokens = words(text) if isinstance(text, str) else list(text)
    grams = Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))
    total = grams.total()
    repeated = sum(count for count in grams.values() if count > 1)
    return repeated / total if total else 0.0
