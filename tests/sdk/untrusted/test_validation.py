from __future__ import annotations

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from orality.untrusted.validation import listed, mistakes, reasons


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")

    rows: list[int] = Field(default_factory=list)
    name: str = ""

    @field_validator("name")
    @classmethod
    def _refuse(cls, name: str) -> str:
        if name == "NeMo":
            raise ValueError("NeMo and HuBERT are Names")
        return name


@pytest.fixture
def error():
    with pytest.raises(ValidationError) as caught:
        Inner.model_validate({"rows": ["x"], "name": "NeMo", "other": 1})
    return caught.value


def test_each_mistake_has_its_place_down_to_the_first_of_a_list(error):
    first, second, third = mistakes(error, within="judge")
    assert first.startswith("judge.rows.0: input should be a valid integer")
    assert second == "judge.name: value error, NeMo and HuBERT are Names"
    assert third == "judge.other: unknown key"


def test_reasons_have_no_places_and_come_once(error):
    assert "unknown key" in reasons(error)
    assert listed(["a", "b"]) == "\n  - a\n  - b"
