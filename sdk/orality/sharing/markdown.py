"""Markdown in which whatever comes from a run stays text."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import Any

import jinja2
import yaml
from markupsafe import Markup

# Line breaks, other controls, zero-width characters, and those that turn the reading direction.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+")
_MARKS = re.compile(r"([\\`*_\[\]|~$])")
_LINKS = {"://": "&#58;//", "@": "&#64;"}
LONGEST = 400


def plain(text: str) -> str:
    """One line without control characters, cut to `LONGEST` characters."""
    line = " ".join(_CONTROL.sub(" ", text).split())
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


def neutral(value: Any) -> str:
    """A value as Markdown that shows its characters: no markup, HTML, link, mention or cell."""
    text = _MARKS.sub(r"\\\1", html.escape(plain(str(value)), quote=False))
    for mark, entity in _LINKS.items():
        text = text.replace(mark, entity)
    return re.sub(r"\bwww\.", "www&#46;", text, flags=re.I)


def code(value: Any) -> Markup:
    """A value as inline code, also inside a table."""
    return Markup("`{}`").format(Markup(plain(str(value)).replace("`", "'").replace("|", "¦")))


def fenced(text: str, language: str) -> Markup:
    """A block of code, whatever the text holds."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return Markup(f"{fence}{language}\n{text.rstrip()}\n{fence}")


def front_matter(metadata: Mapping[str, Any]) -> Markup:
    """A card's metadata as YAML between its marks."""
    text = yaml.safe_dump(_lines(metadata), sort_keys=False, allow_unicode=True, width=10_000)
    return Markup(f"---\n{text}---")


def render(template: str, **values: Any) -> str:
    """A card; every value in it is made neutral, but for `Markup`."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("orality.sharing"),
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: value if isinstance(value, Markup) else neutral(value),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["code"] = code
    return environment.get_template(template).render(**values)


def _lines(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {plain(str(key)): _lines(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_lines(inner) for inner in value]
    return plain(value) if isinstance(value, str) else value
