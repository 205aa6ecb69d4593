"""The tokens that write a digit behind the answer's forced beginning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from orality import PluginError

DIGITS = (1, 2, 3, 4, 5)
_TAIL = 8  # tokens of context are enough to see what a token adds to the text


def digit_tokens(tokenizer: Any, context: Sequence[int], written: Sequence[int]) -> list[list[int]]:
    """For each digit, every token that writes it and nothing else behind `context`.

    With or without white space before it, or as a byte: what counts is the text that context and
    token are together. So the token "10" is no 1, and where words end in a mark of their own
    (`1</w>`), neither is the "1" that another digit must follow. `written`: the token that the
    tokenizer itself takes for each digit there. Raises PluginError when these are not among them.
    """
    tail = list(context[-_TAIL:])
    before = _text(tokenizer, tail)
    ending = getattr(
        getattr(getattr(tokenizer, "backend_tokenizer", None), "model", None),
        "end_of_word_suffix", None,
    )  # fmt: skip
    special = set(tokenizer.all_special_ids)
    found: list[list[int]] = [[] for _ in DIGITS]
    for token, piece in enumerate(tokenizer.convert_ids_to_tokens(range(len(tokenizer)))):
        # As a byte, the digit d is <0x3d>.
        if piece is None or token in special or not any(str(d) in piece for d in DIGITS):
            continue
        if ending and not piece.endswith(ending):
            continue
        text = _text(tokenizer, [*tail, token])
        added = text.removeprefix(before).strip()
        if text.startswith(before) and added in {str(digit) for digit in DIGITS}:
            found[int(added) - 1].append(token)
    lacking = [d for d in DIGITS if written[d - 1] not in found[d - 1]]
    if lacking:
        raise PluginError(
            f"the model's tokenizer cannot write {lacking} as one token behind {before!r}; choose "
            "another answer_prefix, or a model that writes digits one by one"
        )
    return found


def _text(tokenizer: Any, ids: list[int]) -> str:
    return str(tokenizer.decode(ids, clean_up_tokenization_spaces=False))
