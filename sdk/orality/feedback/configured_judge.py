"""A judge as rounds and evaluations use it: built when first asked, its answers checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import inf
from typing import Any

from orality.errors import JudgeError
from orality.protocols import Judge
from orality.recipe import Configured
from orality.types import JudgeRequest, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfiguredJudge:
    """A judge with what its spec says of it.

    `name`: of the component, as verdicts call it. `build`: returns the judge, the same one at every
    call. `reads`: some of text, audio and units. `scale`: lowest and highest score. `batch`: how
    many requests it wants at a time. `settings`: what stored verdicts depend on.
    """

    name: str
    build: Callable[[], Judge]
    reads: frozenset[str] = frozenset({"text"})
    scale: tuple[float, float] = (-inf, inf)
    batch: int = 20
    settings: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, part: Configured, build: Callable[[Configured], Judge]) -> ConfiguredJudge:
        """The judge that a recipe names."""
        spec = part.spec
        return cls(
            name=part.name,
            build=partial(build, part),
            reads=spec.reads,
            scale=spec.scale,
            batch=spec.batch_size(part.config),
        )

    def score(self, requests: Sequence[JudgeRequest]) -> list[Verdict]:
        """One verdict per request, in order.

        Raises JudgeError where the judge returns another number of verdicts, or a score outside
        its scale.
        """
        verdicts = self.build().score(requests)
        if len(verdicts) != len(requests):
            raise JudgeError(
                f"judge {self.name!r} gave {len(verdicts)} verdicts for {len(requests)} requests"
            )
        low, high = self.scale
        for verdict in verdicts:
            if verdict.score is not None and not low <= verdict.score <= high:
                raise JudgeError(
                    f"judge {self.name!r} gave the score {verdict.score}, outside its scale "
                    f"{low:g} to {high:g}"
                )
        return list(verdicts)
