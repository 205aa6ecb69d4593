"""A question's token ids, in which a transcript is text and never a control token."""

from __future__ import annotations

from typing import Any

from orality_judge_likert.frame import Frame


class QuestionTokens:
    """Turns questions into token ids, up to the digit that the model is about to write.

    The digit is written behind the question, tokenized with it and taken off again: so the ids are
    those that the tokenizer would have there, a space before the digit being part of its token in
    some vocabularies and a token of its own in others.
    """

    def __init__(self, tokenizer: Any, frame: Frame) -> None:
        self._tokenizer, self._frame = tokenizer, frame
        whole = self._encode(self._whole("a", "1"))
        self._skeleton = self._controls(whole)
        # Some tokenizers put a space before the first word of a text, others (and older ones)
        # before the first word behind every control token.
        self._is_middle = True
        self._is_middle = self._encode_apart("a", "1") == whole

    def before_digit(self, question: str, digit: int = 1) -> tuple[list[int], int] | None:
        """The ids before the digit and the digit's own, or None.

        None where the tokenizer makes a control token of the question's text even when told to
        read it as text: the control tokens must be those of the template, in number and order.
        """
        ids = self._encode(self._whole(question, str(digit)))
        if self._controls(ids) != self._skeleton:
            ids = self._encode_apart(question, str(digit))
            if self._controls(ids) != self._skeleton:
                return None
        return [*self._frame.lead, *ids[:-1]], ids[-1]

    def _whole(self, question: str, digit: str) -> str:
        return self._frame.before + question + self._frame.after + digit

    def _controls(self, ids: list[int]) -> list[int]:
        return [token for token in ids if token in self._frame.control_ids]

    def _encode(self, text: str, **more: Any) -> list[int]:
        found = self._tokenizer(text, add_special_tokens=False, **more)["input_ids"]
        return [int(token) for token in found]

    def _encode_apart(self, question: str, digit: str) -> list[int]:
        """The template's control tokens as such, and as text all that stands between them."""
        before, after = self._frame.before, self._frame.after + digit
        last = max((m.end() for m in self._frame.control.finditer(before)), default=0)
        found = self._frame.control.search(after)
        first = found.start() if found else len(after)
        text = before[last:] + question + after[:first]
        middle = self._is_middle and last > 0
        inner = self._encode_middle(text) if middle else self._encode_as_text(text)
        return [*self._encode(before[:last]), *inner, *self._encode(after[first:])]

    def _encode_middle(self, text: str) -> list[int]:
        """As text in the middle of other text, where no space is put before its first word."""
        newline = self._encode_as_text("\n")
        ids = self._encode_as_text("\n" + text)
        if ids[: len(newline)] == newline:
            return ids[len(newline) :]
        return self._encode_as_text(text)

    def _encode_as_text(self, text: str) -> list[int]:
        return self._encode(text, split_special_tokens=True) if text else []
