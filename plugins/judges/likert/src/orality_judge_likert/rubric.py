"""The rubric: a Jinja template around two transcripts, which are never evaluated themselves."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from orality import RecipeError


def read_rubric(path: Path | None) -> jinja2.Template:
    """The template in a file, or the one in this package.

    It may use `prompt`, `continuation` and `language` (ISO 639-1). Raises RecipeError when it
    cannot be read, is no Jinja template, uses anything else, or leaves the continuation out.
    """
    try:
        if path is None:
            text = (resources.files("orality_judge_likert") / "rubric.txt").read_text("utf-8")
        else:
            text = path.expanduser().read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"the rubric {path} cannot be read: {error}") from error
    return compile_rubric(text, name=str(path or "rubric.txt"))


def compile_rubric(text: str, *, name: str = "rubric") -> jinja2.Template:
    """A rubric from its source; raises as `read_rubric` does."""
    environment = ImmutableSandboxedEnvironment(undefined=jinja2.StrictUndefined)
    # Jinja's own filter writes an apostrophe, and whatever is not ASCII, as a \\u escape: hard to
    # read for a model, and needed only inside HTML.
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    try:
        template = environment.from_string(text)
        probe = template.render(prompt="qzprompt", continuation="qzcontinuation", language="en")
    except Exception as error:  # a template can fail in any way that Python can
        raise RecipeError(f"the rubric {name} cannot be used: {error}") from error
    if "qzcontinuation" not in probe:
        raise RecipeError(f"the rubric {name} never shows the continuation: {{{{ continuation }}}}")
    return template
