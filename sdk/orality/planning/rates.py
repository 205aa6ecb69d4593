"""What each stage takes for a prompt, on one device: measured, or assumed and said to be so."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field, ValidationError

from orality.errors import RecipeError
from orality.untrusted import documents
from orality.untrusted.settings import Settings
from orality.untrusted.validation import mistakes


class StageRate(Settings):
    """What one stage takes for one prompt with all of its continuations, on one device."""

    stage: str
    seconds: float | None = Field(ge=0)
    """None: unknown."""
    spread: float | None = Field(None, ge=0)
    """Half the 95 % interval of `seconds`; None: unknown."""
    start: float = Field(0.0, ge=0)
    """Seconds before a worker's first shard: weights are read, kernels chosen."""
    bytes: float = Field(0.0, ge=0)
    """Of disk."""
    dollars: float | None = Field(0.0, ge=0)
    """What a server takes for it; None: unknown."""
    on_device: bool = True
    """Whether a GPU would be given to it: not for `pairs`, nor for a judge behind a server."""
    source: str = "measured"
    """Where the figures come from."""


class Rates(Settings):
    """What all stages take. `device`: on what; `samples`: continuations of a prompt."""

    device: str
    samples: int = Field(ge=1)
    stages: tuple[StageRate, ...] = Field(min_length=1)
    assumptions: tuple[str, ...] = ()


def read_rates(path: Path) -> Rates:
    """Rates in a JSON file, as `orality plan --json` writes them under `rates`.

    RecipeError when it cannot be read or holds something else.
    """
    try:
        data = documents.read_json(path, RecipeError)
        return Rates.model_validate(data.get("rates", data) if isinstance(data, dict) else data)
    except (OSError, ValueError) as error:
        if isinstance(error, ValidationError):
            wrong = "; ".join(mistakes(error))
            raise RecipeError(f"{path} holds no stage rates: {wrong}") from error
        raise RecipeError(f"{path} cannot be read as stage rates: {error}") from error


def rate_of(amounts: Sequence[float], prompts: Sequence[float]) -> tuple[float, float | None]:
    """The amount per prompt over several shards, and half its 95 % interval by their spread.

    A ratio of sums, its error by the shards' residuals and Student's t (Cochran, Sampling
    Techniques, chapter 6); the interval is None for a single shard.
    """
    rate = sum(amounts) / sum(prompts)
    count = len(prompts)
    if count < 2:
        return rate, None
    from scipy.stats import t

    residuals = [y - rate * x for y, x in zip(amounts, prompts, strict=True)]
    deviation = math.sqrt(sum(e * e for e in residuals) / (count - 1))
    error = deviation / (sum(prompts) / count) / math.sqrt(count)
    return rate, float(t.ppf(0.975, count - 1)) * error
