"""What a judge is told, and how untrusted transcripts are kept apart from it."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import jinja2
from jinja2.sandbox import SandboxedEnvironment

from orality.errors import JudgeError

# Brackets and the like are written as \u escapes, so that no transcript can spell a role tag, a
# template placeholder or the end of its JSON object, whatever a server does with the text.
_ESCAPED = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>[]{}|&`\u0085\u2028\u2029"}


def encode_transcripts(beginning: str, continuation: str, *, max_characters: int) -> str:
    """Both transcripts as one line of JSON, at most `max_characters` of each: of the beginning its
    end, which the continuation follows."""
    parts = {
        "beginning": beginning[-max_characters:],
        "continuation": continuation[:max_characters],
    }
    fields = []
    for name, text in parts.items():
        # a lone surrogate is no Unicode text: it could not be sent
        whole = text.encode("utf-8", "replace").decode("utf-8")
        fields.append(f'"{name}": {json.dumps(whole, ensure_ascii=False).translate(_ESCAPED)}')
    return "{" + ", ".join(fields) + "}"


class Rubric:
    """A Jinja template with the variables `nonce`, `language` and `answer`.

    Transcripts are no variables: they follow in a place of their own. `answer` says in words what
    the judge expects as an answer; `text` is the template's source.
    """

    def __init__(self, text: str, *, answer: str) -> None:
        self.text, self.answer = text, answer
        try:
            environment = SandboxedEnvironment(undefined=jinja2.StrictUndefined)
            self._template = environment.from_string(text)
            self.render(nonce="0", language="en")
        except jinja2.TemplateError as error:
            raise JudgeError(
                f"the rubric is no template with nonce, language and answer: {error}"
            ) from error

    def render(self, *, nonce: str, language: str) -> str:
        """The instructions."""
        return self._template.render(nonce=nonce, language=language, answer=self.answer)


def load_rubric(path: Path | None, *, answer: str) -> Rubric:
    """The rubric in a file, or the one that is shipped; JudgeError when it cannot be read."""
    if path is None:
        text = (resources.files("orality.judging") / "rubric.txt").read_text("utf-8")
    else:
        try:
            text = path.expanduser().read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise JudgeError(f"the rubric {path} cannot be read: {error}") from error
    return Rubric(text, answer=answer)
