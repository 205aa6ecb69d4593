"""Addresses as they may be written down: without users, passwords and signatures."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_DIGEST = re.compile(r"#(sha256=[0-9a-fA-F]{64})$")


def public_address(text: str) -> str:
    """An address without user, password, query and fragment, but for a `#sha256=HEX`; any other
    text as it is."""
    if not _ADDRESS.match(text):
        return text
    try:
        parts = urlsplit(text)
    except ValueError:
        return text.partition("?")[0].partition("#")[0]
    digest = _DIGEST.search(text)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}{'#' + digest[1] if digest else ''}"


def public(value: Any) -> Any:
    """Plain data with every address in it made public."""
    if isinstance(value, Mapping):
        return {name: public(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [public(inner) for inner in value]
    return public_address(value) if isinstance(value, str) else value
