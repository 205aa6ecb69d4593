"""The best and the worst continuations by the judge's score, to be read and heard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orality.report.data.run_data import Continuation, Prompt, RunData
from orality.report.player import Clip, embed
from orality.report.sections.listening import Take, unknown


@dataclass(frozen=True, slots=True)
class Example:
    """A continuation with the prompt that it goes on from; clips are None without audio."""

    prompt: Prompt
    prompt_clip: Clip | None
    take: Take


@dataclass(frozen=True, slots=True)
class Extremes:
    """The ends of one list. `size`: bytes that their clips add to a page."""

    title: str
    best: Sequence[Example]
    worst: Sequence[Example]

    @property
    def size(self) -> int:
        """Bytes of all clips."""
        clips = [
            clip
            for found in (*self.best, *self.worst)
            for clip in (found.prompt_clip, found.take.clip)
        ]
        return sum(clip.size for clip in clips if clip is not None)


def extremes(
    run: RunData, title: str, items: Sequence[Continuation], *, count: int
) -> Extremes | None:
    """`count` of the highest and of the lowest scores, each prompt once; None without a score.

    A list of few prompts is divided, so that none is both.
    """
    ranked = sorted(
        ((item.score, item) for item in items if item.score is not None),
        key=lambda pair: (-pair[0], pair[1].id),
    )
    best = _first([item for _, item in ranked])
    count = min(count, len(best) // 2)
    if not count:
        return None
    top = best[:count]
    taken = {item.prompt_id for item in top}
    worst = _first([item for _, item in reversed(ranked) if item.prompt_id not in taken])[:count]
    return Extremes(
        title,
        [_example(run, item) for item in top],
        [_example(run, item) for item in worst],
    )


def _first(items: Sequence[Continuation]) -> list[Continuation]:
    """The first continuation of every prompt."""
    found: dict[str, Continuation] = {}
    for item in items:
        found.setdefault(item.prompt_id, item)
    return list(found.values())


def _example(run: RunData, item: Continuation) -> Example:
    prompt = run.prompts.get(item.prompt_id) or unknown(item.prompt_id)
    return Example(prompt, embed(prompt.audio), Take(item, embed(item.audio)))
