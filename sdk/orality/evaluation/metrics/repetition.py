"""auto-BLEU under the four names it goes by: same texts, other values, never one column."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Literal, get_args

from orality.errors import EvaluationError
from orality.evaluation.metrics.gslm import gslm_auto_bleu, repeated_share, split
from orality.feedback.auto_bleu import auto_bleu as align_slm_auto_bleu

Variant = Literal["align-slm", "gslm", "gslm-bigram", "gslm-geometric"]


def auto_bleu(
    text: str | Sequence[Hashable], *, variant: Variant = "align-slm", n: int = 2
) -> float:
    """How much a text repeats itself, in [0, 1]; a text without n-grams does not.

    `align-slm`: the share of n-grams that occur elsewhere, overlapping ones too ("a a a" gives
    1.0); a string is split by `orality.text.scripts.words` (case and outer punctuation dropped).
    `gslm-bigram`: without overlapping ones (0.0). `gslm`: the arithmetic mean of the shares of 1-
    to n-grams (0.5), published as Auto-BLEU2. `gslm-geometric`: their geometric mean (0.0), which
    VERT uses. GSLM's split a string at white space and keep marks and case. Scripts without spaces
    are split into characters by all.
    """
    if n < 1:
        raise EvaluationError(f"n-grams have at least 1 token, got n={n}")
    tokens = text if isinstance(text, str) else split(text)
    match variant:
        case "align-slm":
            return align_slm_auto_bleu(tokens, n)
        case "gslm":
            return gslm_auto_bleu(tokens, n, "arithmetic")
        case "gslm-geometric":
            return gslm_auto_bleu(tokens, n, "geometric")
        case "gslm-bigram":
            return repeated_share(tokens, n)
    raise EvaluationError(
        f"there is no auto-BLEU {variant!r}; choose from {', '.join(get_args(Variant))}"
    )
