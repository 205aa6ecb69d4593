"""The judge: how grammatical a continuation is, times how well it goes with the prompt."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from orality import JudgeRequest, Verdict
from orality_judge_stories import SCALE
from orality_judge_stories.agreement import agreement
from orality_judge_stories.parse import parse

WEIGHTS = {"topic": 0.4, "hero": 0.2, "object": 0.15, "order": 0.15}
"""What agreement is worth; the rest, to 1, is for grammatical words alone."""


FOREIGN = 0.75
"""A prompt with a smaller share of grammatical words is other speech, which cannot be judged."""


@lru_cache(maxsize=1024)
def _from_the_stories(prompt: str) -> bool:
    return not prompt.split() or parse("", prompt).grammatical >= FOREIGN


class StoriesJudge:
    """Scores continuations by the stories' grammar; see `orality.Judge`."""

    def __init__(self, *, min_words: int = 4) -> None:
        self._min_words = min_words

    def score(self, requests: Sequence[JudgeRequest]) -> list[Verdict]:
        """Judge each request: silence gets the lowest score; a missing text, or a prompt that is
        not from the stories, none."""
        return [self._verdict(request) for request in requests]

    def _verdict(self, request: JudgeRequest) -> Verdict:
        if request.continuation_text is None:
            return Verdict(None, rationale="no continuation text")
        if not _from_the_stories(request.prompt_text or ""):
            return Verdict(None, rationale="the prompt is not from the stories' grammar")
        found = parse(request.prompt_text or "", request.continuation_text)
        words = found.words - found.prompt_words
        shares = agreement(found)
        agreed = {name: float(getattr(shares, name)) for name in WEIGHTS}
        worth = 1.0 - sum(WEIGHTS.values()) + sum(WEIGHTS[n] * agreed[n] for n in WEIGHTS)
        enough = min(1.0, words / self._min_words)
        low, high = SCALE
        return Verdict(
            low + (high - low) * found.grammatical**2 * worth * enough,
            rationale="" if words else "no speech",
            metrics={"grammatical": found.grammatical, **agreed, "words": float(words)},
        )
