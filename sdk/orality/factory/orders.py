"""What workers are told and what they tell: plain values that can be sent to another machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from orality.feedback import Chunk, Selection


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundOrder:
    """A round of feedback. `adapters`: of the rounds before, relative to the run folder.

    `counts`: how many prompts each shard holds; `max_new_units`: the longest continuation;
    `selection` None: pairs are selected afterwards, from all verdicts.
    """

    name: str
    adapters: tuple[str, ...]
    counts: Mapping[str, int]
    max_new_units: int
    selection: Selection | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a worker needs to know before its first job.

    `recipe`: its YAML; `folder`: the run folder; `where`: the folder that relative paths of the
    recipe are read from; `round` None: the jobs are to cut prompts.
    """

    recipe: str
    folder: str
    where: str = field(default_factory=lambda: str(Path.cwd()))
    round: RoundOrder | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self)

    @classmethod
    def of_dict(cls, data: Mapping[str, Any]) -> Order:
        """The order that `to_dict` gave."""
        found = data["round"]
        if found is not None:
            selection = found["selection"] and Selection(**found["selection"])
            adapters = tuple(found["adapters"])
            found = RoundOrder(**{**found, "selection": selection, "adapters": adapters})
        return cls(**{**data, "round": found})


@dataclass(frozen=True, slots=True)
class Job:
    """What is handed out at a time: shards that go through all stages, or one that is cut."""

    shards: tuple[str, ...]
    items: tuple[int, ...] = ()

    @classmethod
    def cutting(cls, chunk: Chunk) -> Job:
        """The job to cut a chunk of the corpus."""
        return cls((chunk.shard,), tuple(chunk.items))


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A worker has made shards of a stage. `dollars`: what the judge says that it cost."""

    stage: str
    shards: Sequence[str]
    rows: int
    seconds: float
    dollars: float = 0.0
    worker: int = 0


@dataclass(frozen=True, slots=True)
class Advanced:
    """A worker has made further records of a stage; their shard is not stored yet."""

    stage: str
    rows: int


@dataclass(frozen=True, slots=True)
class Built:
    """A worker has built a component from these weights: rows with `file`, `sha256`, ..."""

    place: str
    weights: Sequence[Mapping[str, Any]]


Event = Made | Advanced | Built
Tell = Callable[[Event], object]


class Workers(Protocol):
    """Does jobs, in any order, and returns when all of them are done.

    Raises what a worker raised, once the others have stored what they had in hand; raises
    KeyboardInterrupt when `asked_to_stop`, which it looks at after every stage of a job.
    """

    def __call__(
        self, order: Order, jobs: Sequence[Job], tell: Tell, asked_to_stop: Callable[[], bool]
    ) -> None:
        """Do the jobs of an order."""
        ...
