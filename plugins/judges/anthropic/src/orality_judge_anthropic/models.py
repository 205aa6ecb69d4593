"""What is known of the models: prices by `prices.json`, and which cannot do without thinking."""

from __future__ import annotations

import json
import re
from functools import cache
from importlib import resources
from typing import Any

from orality.judging import Price


@cache
def _table() -> Any:
    file = resources.files("orality_judge_anthropic") / "prices.json"
    return json.loads(file.read_text("utf-8"))


def price_of(model: str) -> Price | None:
    """The price of a model, also by its dated name; None when it is not in the table."""
    models = _table()["models"]
    row = models.get(model) or models.get(re.sub(r"-\d{8}$", "", model))
    return None if row is None else Price(**row)


def batch_factor() -> float:
    """What a batch costs, as a share of the same calls one by one."""
    return float(_table()["batch_factor"])


def always_thinks(model: str) -> bool:
    """Whether the model refuses to be told not to think."""
    return model.startswith(tuple(_table()["always_thinking"]))
