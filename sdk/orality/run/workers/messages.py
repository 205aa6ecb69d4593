"""Messages to and from workers: plain values that can be sent to another machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from orality.feedback import Chunk, Selection
from orality.recipe import Recipe
from orality.run.stages import RoundSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSpec:
    """What a worker needs to know before its first job.

    `folder`: the run folder; `where`: the folder that relative paths of the recipe are read from;
    `round` None: the jobs are to cut prompts.
    """

    recipe: Recipe
    folder: str
    where: str = field(default_factory=lambda: str(Path.cwd()))
    round: RoundSpec | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it, secrets in addresses included."""
        return {
            "recipe": self.recipe.model_dump(mode="json"),
            "folder": self.folder,
            "where": self.where,
            "round": self.round and asdict(self.round),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> WorkerSpec:
        """The inverse of `to_dict`."""
        found = data["round"]
        if found is not None:
            selection = found["selection"] and Selection(**found["selection"])
            adapters = tuple(found["adapters"])
            found = RoundSpec(**{**found, "selection": selection, "adapters": adapters})
        return cls(**{**data, "recipe": Recipe.parse(data["recipe"]), "round": found})


@dataclass(frozen=True, slots=True)
class Job:
    """A unit of work: shards that go through all stages, or one that is cut."""

    shards: tuple[str, ...]
    items: tuple[int, ...] = ()

    @classmethod
    def cutting(cls, chunk: Chunk) -> Job:
        """The job to cut a chunk of the corpus."""
        return cls((chunk.shard,), tuple(chunk.items))


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardsDone:
    """A worker has made shards of a stage. `dollars`: the cost, as the judge reports it."""

    stage: str
    shards: Sequence[str]
    rows: int
    seconds: float
    dollars: float = 0.0
    worker: int = 0


@dataclass(frozen=True, slots=True)
class RowsDone:
    """A worker has made further records of a stage; their shard is not stored yet."""

    stage: str
    rows: int


@dataclass(frozen=True, slots=True)
class ComponentBuilt:
    """A worker has built a component from these weights: rows with `file`, `sha256`, ..."""

    place: str
    weights: Sequence[Mapping[str, Any]]


Event = ShardsDone | RowsDone | ComponentBuilt
Emit = Callable[[Event], object]


class Workers(Protocol):
    """Does jobs, in any order, and returns when all of them are done.

    Raises what a worker raised, once the others have stored what they had in hand; raises
    KeyboardInterrupt when `should_stop`, which it looks at after every stage of a job.
    """

    def __call__(
        self, spec: WorkerSpec, jobs: Sequence[Job], emit: Emit, should_stop: Callable[[], bool]
    ) -> None:
        """Do the jobs of a spec."""
        ...
