"""Whether a sound file is whole: what its header says it holds against what is there.

libsndfile reads what is left of a file that was cut in transfer and says nothing. A header that
gives no length (0, or all ones, as streams are written) is taken as it is.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

_HEAD = 64
_TAIL = 1 << 16  # an Ogg page is at most this long
_UNKNOWN = (0, 0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF)
_SLACK = 8  # bytes that writers forget to count or to pad


def missing(file: BinaryIO) -> str | None:
    """Why a file cannot be whole, None where nothing is amiss or the format is another one."""
    size = file.seek(0, 2)
    file.seek(0)
    head = file.read(_HEAD)
    stated = _stated(head)
    if stated is not None and stated > size + _SLACK:
        return f"its header says {stated:,} bytes, and {size:,} are there"
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"FORM"):
        return _chunks(file, head[:4], size)
    return _last_page(file, size) if head[:4] == b"OggS" else None


def _stated(head: bytes) -> int | None:
    """The size of the whole file, as its first bytes give it."""
    kind = head[:4]
    if kind in (b"RIFF", b"RIFX", b"FORM") and len(head) >= 12:
        (length,) = struct.unpack("<I" if kind == b"RIFF" else ">I", head[4:8])
        return None if length in _UNKNOWN else length + 8
    if kind == b"RF64" and head[12:16] == b"ds64" and len(head) >= 28:
        (length,) = struct.unpack("<Q", head[20:28])
        return None if length in _UNKNOWN else length + 8
    if kind in (b".snd", b"dns.") and len(head) >= 12:
        offset, length = struct.unpack(">II" if kind == b".snd" else "<II", head[4:12])
        return None if length in _UNKNOWN else offset + length
    if kind == b"riff" and len(head) >= 24:  # W64
        (length,) = struct.unpack("<Q", head[16:24])
        return None if length in _UNKNOWN else length
    return None


def _chunks(file: BinaryIO, kind: bytes, size: int) -> str | None:
    """The chunk of samples of WAV and AIFF, whose own length is there, too."""
    order = "<I" if kind in (b"RIFF", b"RF64") else ">I"
    place = 12
    for _ in range(1000):
        file.seek(place)
        head = file.read(8)
        if len(head) < 8:
            return None
        (length,) = struct.unpack(order, head[4:])
        if head[:4] in (b"data", b"SSND"):
            if length not in _UNKNOWN and place + 8 + length > size + _SLACK:
                there = max(0, size - place - 8)
                return f"its header says {length:,} bytes of sound, and {there:,} are there"
            return None
        place += 8 + length + length % 2
    return None


def _last_page(file: BinaryIO, size: int) -> str | None:
    file.seek(max(0, size - _TAIL))
    tail = file.read(_TAIL)
    place = tail.rfind(b"OggS")
    if place < 0 or len(tail) < place + 27:
        return "it ends within a page"
    segments = tail[place + 26]
    lengths = tail[place + 27 : place + 27 + segments]
    if len(lengths) < segments or len(tail) < place + 27 + segments + sum(lengths):
        return "it ends within a page"
    return None if tail[place + 5] & 4 else "it has no last page"
