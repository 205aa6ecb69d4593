"""What a model's chat template puts around a question, and what could be mistaken for it.

The template is rendered once, around placeholders: no transcript ever passes through it.
"""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import jinja2

from orality import CheckpointError
from orality_judge_likert.bounded import SECONDS, Endless, bounded

logger = logging.getLogger(__name__)

# Without white space, so that a template which trims its messages leaves them whole.
_SYSTEM, _USER, _ANSWER, _AGAIN = (f"qz{i}placeholder{i}zq" for i in range(4))
# Templates that print the date would give other verdicts every day; thinking comes before rating.
_SETTINGS = {"date_string": "26 Jul 2024", "enable_thinking": False}
_MARKS = "<>[]{}|#"
_LONGEST = 100_000  # characters around a question


@dataclass(frozen=True, slots=True)
class Frame:
    """The text before and after a question, the forced beginning of the answer included.

    `lead`: token ids before everything. `question_before`: text that opens the question itself.
    `control`: the strings that the tokenizer reads as control tokens. `tags`: those that only the
    template's words make special ("[INST]" where it is plain text), or None.
    """

    before: str
    after: str
    lead: tuple[int, ...]
    question_before: str
    control: re.Pattern[str]
    control_ids: frozenset[int]
    tags: re.Pattern[str] | None


def read_frame(tokenizer: Any, *, answer_prefix: str, system: str = "") -> Frame:
    """The frame of a tokenizer's chat template; one without a template is asked in plain text.

    `system`: what a system message says. It goes into the user's turn, before the question, where
    the template has no such role.
    """
    strings, ids = _control_tokens(tokenizer)
    control = _any_of(strings)
    before, after, literals = "", f"\n{answer_prefix}", [""]
    inside = f"{system.strip()}\n\n" if system.strip() else ""
    lead: tuple[int, ...] = ()
    rendered = _render(tokenizer, system=bool(inside))
    if rendered is None and inside:
        rendered = _render(tokenizer, system=False)
        if rendered is not None:
            logger.info("the chat template has no system role: its text begins the user's turn")
    elif rendered is not None and inside:
        inside, rendered = "", [rendered[0] + system.strip() + rendered[1], *rendered[2:]]
    if rendered is not None:
        literals = [*rendered, *(_render(tokenizer, system=True) or [])]
        before, after = rendered[0], rendered[1] + answer_prefix
    elif getattr(tokenizer, "chat_template", None):
        raise CheckpointError(
            "the model's chat template shows no user's message, or more than once: it cannot be "
            "used to ask for a rating"
        )
    else:
        first = tokenizer("a")["input_ids"][:1]
        lead = tuple(first) if first == [tokenizer.bos_token_id] else ()
    tags = _tags(control.sub(" ", literal) for literal in literals)
    return Frame(before, after, lead, inside, control, ids, _any_of(tags) if tags else None)


def break_apart(text: str, pattern: re.Pattern[str] | None) -> str:
    """The text with a space inside everything that the pattern finds, in whatever letters."""
    if pattern is None:
        return text
    plain = unicodedata.normalize("NFKC", text)
    if pattern.search(plain):
        text = plain  # full-width letters and the like may become a tag inside the tokenizer
    while pattern.search(text):
        text = pattern.sub(lambda m: f"{m[0][0]} {m[0][1:]}" if len(m[0]) > 1 else " ", text)
    return text


def _render(tokenizer: Any, *, system: bool) -> list[str] | None:
    """The template's own text before, between and after the messages, or None where it has none.

    With `system`: before, between and after a system message, too, or None where it has no such
    role. The user's next turn is the last message, if the template can be asked for one.
    """
    if not getattr(tokenizer, "chat_template", None):
        return None
    head = [{"role": "system", "content": _SYSTEM}] if system else []
    user = {"role": "user", "content": _USER}
    answer = {"role": "assistant", "content": _ANSWER}
    again = {"role": "user", "content": _AGAIN}
    marks = ([_SYSTEM] if system else []) + [_USER]
    # An answer as the template writes it, since what comes before one may differ from the
    # generation prompt (a space, an empty thought); that prompt where it refuses answers.
    opened = _split(_ask(tokenizer, [*head, user, answer]), [*marks, _ANSWER])
    if opened is not None:
        longer = _split(_ask(tokenizer, [*head, user, answer, again]), [*marks, _ANSWER, _AGAIN])
        return [*opened[: len(marks) + 1], *(longer or opened)[len(marks) + 1 :]]
    return _split(_ask(tokenizer, [*head, user], add_generation_prompt=True), marks)


def _ask(tokenizer: Any, messages: list[dict[str, str]], **more: Any) -> str:
    try:
        with bounded():
            text = str(tokenizer.apply_chat_template(messages, tokenize=False, **_SETTINGS, **more))
    except (jinja2.TemplateError, TypeError, ValueError) as error:
        logger.debug("the chat template refuses %s: %s", [m["role"] for m in messages], error)
        return ""
    except (Endless, MemoryError) as error:
        what = f"more than {SECONDS:g} s" if isinstance(error, Endless) else "too much memory"
        raise CheckpointError(f"the chat template of this model takes {what}; refused") from error
    except Exception as error:  # a template is a program, and fails as programs do
        raise CheckpointError(
            f"the chat template of this model fails ({type(error).__name__}: {error})"
        ) from error
    if len(text) > _LONGEST:
        raise CheckpointError(
            f"the chat template of this model writes {len(text):,} characters around a question"
        )
    return text


def _split(text: str, marks: list[str]) -> list[str] | None:
    """What lies around the marks, each of which must be there once and in order."""
    parts = []
    for mark in marks:
        if text.count(mark) != 1:
            return None
        part, text = text.split(mark)
        parts.append(part)
    return [*parts, text]


def _control_tokens(tokenizer: Any) -> tuple[list[str], frozenset[int]]:
    """Strings and ids of the tokens that are no text: special ones, and added ones like tags."""
    unknown = tokenizer.unk_token_id
    named = {tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id}
    special = set(tokenizer.all_special_ids)
    found = {
        index: token.content
        for index, token in tokenizer.added_tokens_decoder.items()
        if token.special or any(mark in token.content for mark in _MARKS)
    }
    found |= {index: tokenizer.convert_ids_to_tokens(index) for index in special}
    if unknown not in named:
        found.pop(unknown, None)  # what any letter out of the alphabet becomes
    strings = [text for text in found.values() if isinstance(text, str) and text.strip()]
    return strings, frozenset(found)


def _tags(literals: Iterable[str]) -> set[str]:
    """The words of a template that look like role tags, such as `[/INST]`, `###`, `USER:`."""
    found = set()
    for literal in literals:
        words = literal.split()
        found |= {word for word in words if len(word) > 1 and any(m in word for m in _MARKS)}
        # Only where a message follows: a default system message may well hold "Note:".
        found |= {word for word in words[-1:] if len(word) > 1 and word.endswith(":")}
    return found


def _any_of(strings: Iterable[str]) -> re.Pattern[str]:
    longest_first = sorted(strings, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first)) or "(?!)", re.IGNORECASE)
