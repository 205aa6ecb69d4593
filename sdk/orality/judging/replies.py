"""From a reply to a score of 1 to 5: the whole reply is the score, or it is none."""

from __future__ import annotations

import json
import re
from typing import Any

SCORES = (1, 2, 3, 4, 5)
SCORE_SCHEMA: dict[str, object] = {
    "type": "object",
    "properties": {"score": {"type": "integer", "enum": list(SCORES)}},
    "required": ["score"],
    "additionalProperties": False,
}

_LABEL = r"(?:(?:(?:my|the) )?(?:final )?(?:rating|score|grade|answer)(?: is)? ?[:=]?)"
_QUOTED_LABEL = "i would rate the score as"  # the answer form of Align-SLM, appendix F
_AROUND = (
    ("", ""), ('"', '"'), ("'", "'"), ("`", "`"), ("(", ")"), ("[", "]"), ("*", "*"), ("**", "**"),
    ("\\boxed{", "}"), ("$\\boxed{", "}$"),
)  # fmt: skip
_FORMS = [
    re.compile(
        rf"(?:(?:{_LABEL}|{_QUOTED_LABEL})\s*)?"
        rf"{re.escape(left)}([1-5])(?: ?/ ?5| out of 5)?{re.escape(right)}\.?",
        re.IGNORECASE | re.ASCII,
    )
    for left, right in _AROUND
]


def parse_rating(reply: str) -> int | None:
    """The score that a free-text reply consists of, or None.

    A score inside a longer text does not count, first or last: it may be a quotation of what was
    judged. Accepted are a lone digit 1 to 5, also in quotes, brackets, bold or a LaTeX box, with
    "/5", after "Rating:" and the like, or as `{"score": 4}`.
    """
    text = reply.strip()
    if text.startswith("{"):
        return parse_score_object(text)
    for form in _FORMS:
        match = form.fullmatch(text)
        if match:
            return int(match.group(1))
    return None


def parse_score_object(reply: str) -> int | None:
    """The score in a JSON object that holds nothing else, or None."""
    try:
        # tuples of pairs: told from lists, and a key given twice is seen
        fields: Any = json.loads(reply, object_pairs_hook=tuple)
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, tuple) or len(fields) != 1:
        return None
    name, score = fields[0]
    return score if name == "score" and type(score) is int and score in SCORES else None
