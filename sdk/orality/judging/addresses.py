"""Servers and keys: what counts as local, and how a key is read without ever being shown."""

from __future__ import annotations

import ipaddress
import json
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from orality.errors import JudgeError

_KEY = re.compile(
    r"api.?key|secret|passw|credential|authorization|bearer|(^|[_-])(auth|access)[_-]?token$|^token$",
    re.IGNORECASE,
)


def is_private(url: str) -> bool:
    """Whether an address is this machine's or of its private network.

    A name other than localhost may lead anywhere, so it does not count.
    """
    try:
        host = (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return False
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host.split("%")[0])
    except ValueError:
        return False
    address = getattr(address, "ipv4_mapped", None) or address
    return address.is_loopback or address.is_private or address.is_link_local


def check_url(url: str, *, with_key: bool) -> str:
    """The address without a final slash; JudgeError for a wrong or a leaky one."""
    wanted = "base_url is not an address such as http://localhost:8000/v1"
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise JudgeError(wanted) from error
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise JudgeError(wanted)
    if parts.username or parts.password or parts.query or parts.fragment:
        raise JudgeError(
            "base_url holds more than a server and a path: keys and passwords belong into an "
            "environment variable, see api_key_env"
        )
    if with_key and parts.scheme == "http" and not is_private(url):
        raise JudgeError(
            f"base_url {url} would carry the API key unencrypted over a foreign network; use https"
        )
    return url.rstrip("/")


def plain_address(url: str) -> str:
    """The address as it was given; ValueError for a wrong one, or one with a user or a query.

    For configurations: they are written into run folders before a judge is built.
    """
    try:
        check_url(url, with_key=False)
    except JudgeError as error:
        raise ValueError(str(error)) from error
    return url


def read_key(variable: str, *, judge: str) -> SecretStr:
    """The API key in an environment variable; JudgeError says how to set it."""
    key = os.environ.get(variable, "").strip()
    if not key:
        raise JudgeError(
            f"judge {judge!r} needs an API key: set the environment variable {variable} to it"
        )
    if not key.isascii() or not key.isprintable():
        raise JudgeError(f"{variable} holds characters that no API key has; set it anew")
    return SecretStr(key)


def redact_all(text: str, keys: Iterable[SecretStr]) -> str:
    """The text with several keys struck out."""
    for key in keys:
        text = redact(text, key)
    return text


def redact(text: str, key: SecretStr | None) -> str:
    """The text with the key struck out, for servers that repeat it: also as JSON writes it."""
    if key is None or not key.get_secret_value():
        return text
    plain = key.get_secret_value()
    for form in {plain, json.dumps(plain)[1:-1]}:
        text = text.replace(form, "***")
    return text


def check_no_keys(settings: Mapping[str, Any], where: str) -> None:
    """ValueError for a setting at any depth that is called as keys are and holds a text.

    What a recipe says is written into the run folder and shared with it.
    """
    left: list[tuple[str, Any]] = [(where, dict(settings))]
    while left:
        place, value = left.pop()
        if isinstance(value, Mapping):
            for name, inner in value.items():
                if _KEY.search(str(name)) and isinstance(inner, str) and inner:
                    raise ValueError(
                        f"{place}.{name} looks like a key, and recipes are written into runs; give "
                        "it by an environment variable, see api_key_env"
                    )
                left.append((f"{place}.{name}", inner))
        elif isinstance(value, list):
            left += [(place, inner) for inner in value]
