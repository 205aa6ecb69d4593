"""What pydantic found wrong with settings, in one form everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


def mistakes(error: ValidationError, *, within: str = "") -> list[str]:
    """A line for every mistake: the place of the key, below `within`, and what is wrong there.

    Names in it keep their letters.
    """
    return [f"{place}: {what}" for place, what in _found(error, within)]


def reasons(error: ValidationError) -> list[str]:
    """What is wrong, without the places, each once."""
    return sorted({what for _, what in _found(error, "")})


def listed(lines: list[str]) -> str:
    """Lines as errors list them."""
    return "".join(f"\n  - {line}" for line in lines)


def _found(error: ValidationError, within: str) -> list[tuple[str, str]]:
    found = []
    for item in error.errors():
        place = ".".join(map(str, [*([within] if within else []), *item["loc"]])) or "recipe"
        what = "unknown key" if item["type"] == "extra_forbidden" else item["msg"]
        found.append((place, what[:1].lower() + what[1:]))
    return found
