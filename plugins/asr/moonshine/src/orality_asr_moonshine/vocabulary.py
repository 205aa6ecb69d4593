"""Moonshine's own vocabulary file: token bytes by id."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from orality import CheckpointError

_SPACE = "▁"
_SPECIAL = frozenset({b"<unk>", b"<s>", b"</s>"})


def read_vocabulary(path: Path) -> list[bytes]:
    """Tokens in the order of their ids.

    Each is a length and that many bytes; a length of 128 or more takes a second byte and is
    (first - 128) + 128 * second. CheckpointError if the file breaks off inside a token.
    """
    data = path.read_bytes()
    tokens: list[bytes] = []
    position = 0
    while position < len(data):
        length = data[position]
        position += 1
        if length >= 128 and position < len(data):
            length += data[position] * 128 - 128
            position += 1
        if position + length > len(data):
            raise CheckpointError(f"{path} breaks off inside token {len(tokens)}")
        tokens.append(data[position : position + length])
        position += length
    return tokens


def to_text(ids: Iterable[int], vocabulary: list[bytes]) -> str:
    """The text of token ids, specials dropped."""
    pieces = (vocabulary[i] for i in ids if i < len(vocabulary))
    joined = b"".join(piece for piece in pieces if piece not in _SPECIAL)
    return joined.decode("utf-8", "replace").replace(_SPACE, " ").strip()
