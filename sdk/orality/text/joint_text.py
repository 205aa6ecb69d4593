"""A prompt and its continuation as the tokens of one text, split where the continuation begins."""

from __future__ import annotations

from typing import Any

from orality.text.scripts import join

__all__ = ["joint_ids"]


def joint_ids(tokenizer: Any, prompt: str, text: str) -> tuple[list[int], list[int]]:
    """Token ids of the prompt, and of the text after it, as they stand in one text.

    `tokenizer`: of transformers; no special tokens are added. Prompt and text are joined by
    `orality.text.scripts.join`. Tokenizers put a mark of their own before whatever they are given
    (SentencePiece's space), so a continuation on its own would begin with a token that the joint
    text does not have. A token with a part of both belongs to the text. No prompt gives the text's
    own tokens.
    """
    prompt, text = prompt.strip(), text.strip()
    if not prompt or not text:
        return _ids(tokenizer, prompt), _ids(tokenizer, text)
    joint = join(prompt, text)
    if getattr(tokenizer, "is_fast", False):
        found = tokenizer(joint, add_special_tokens=False, return_offsets_mapping=True)
        ids, ends = list(found["input_ids"]), [end for _, end in found["offset_mapping"]]
        first = next((place for place, end in enumerate(ends) if end > len(prompt)), len(ids))
    else:  # tokenizers in Python do not say where their tokens are
        ids, own = _ids(tokenizer, joint), _ids(tokenizer, prompt)
        first = next(
            (place for place, (a, b) in enumerate(zip(ids, own, strict=False)) if a != b),
            min(len(ids), len(own)),
        )
    return ids[:first], ids[first:]


def _ids(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"]) if text else []
