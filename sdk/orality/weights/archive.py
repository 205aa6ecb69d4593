"""Take files out of a wheel or zip archive without trusting what it says about itself."""

from __future__ import annotations

import shutil
import stat
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path, PurePosixPath
from zipfile import BadZipFile, ZipFile, ZipInfo

from orality.errors import DownloadError
from orality.weights.cache import file_sha256
from orality.weights.sources import Member

MAX_MEMBER_BYTES = 8 * 2**30
MAX_MEMBERS = 10_000


def extract_members(archive: Path, members: tuple[Member, ...], folder: Path) -> None:
    """Write the named members into `folder`, each under its own name and with its own sha256."""
    with _opened(archive) as zipped:
        for member in members:
            target = folder / member.target
            if member.target in {"", ".", ".."} or PurePosixPath(member.target).name != target.name:
                raise DownloadError(f"got {member.target!r}, wanted a plain file name")
            try:
                info = zipped.getinfo(member.path)
            except KeyError as error:
                raise DownloadError(f"{archive.name} has no member {member.path!r}") from error
            _write(zipped, info, target, MAX_MEMBER_BYTES)
            found = file_sha256(target)
            if found != member.sha256:
                raise DownloadError(
                    f"{member.path} in {archive.name} has the sha256 {found}, wanted "
                    f"{member.sha256}"
                )


def unpack(archive: Path, folder: Path, *, max_bytes: int) -> None:
    """Unpack a zip archive without the folders that all of its files share.

    Refuses absolute paths, `..`, links, two members of one name, more than 10,000 members, and
    more than `max_bytes` or 20 times the archive's own size (and 64 MiB) in total: weights hardly
    compress. What a Mac adds of its own (`__MACOSX`, `.DS_Store`) is left out.
    """
    with _opened(archive) as zipped:
        layout = _layout(archive, zipped)
        _check_size(archive, sum(info.file_size for info, _ in layout), max_bytes)
        for info, path in layout:
            target = folder.joinpath(*path.parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            _write(zipped, info, target, max_bytes)


def unpack_small(archive: Path, names: tuple[str, ...], folder: Path, *, max_bytes: int) -> None:
    """Write those of `names` that a zip archive holds beside one another into `folder`.

    `names` count from where `unpack` begins. Raises as `unpack` does, for the whole archive.
    """
    with _opened(archive) as zipped:
        for info, path in _layout(archive, zipped):
            if path.as_posix() in names:
                _write(zipped, info, folder / path.name, max_bytes)


def fingerprint(archive: Path) -> str:
    """The sha256 of a zip archive, of its bytes: its own checksums can be forged."""
    with _opened(archive):  # a damaged one is named before its gigabytes are read
        return file_sha256(archive)


def _layout(archive: Path, zipped: ZipFile) -> list[tuple[ZipInfo, PurePosixPath]]:
    """Each file with its path below the folders that all share; DownloadError for unsafe ones."""
    infos = zipped.infolist()
    if len(infos) > MAX_MEMBERS:
        raise DownloadError(
            f"{archive.name} holds {len(infos)} members, at most {MAX_MEMBERS} are accepted"
        )
    layout: list[tuple[ZipInfo, PurePosixPath]] = []
    for info in infos:
        path = PurePosixPath(info.filename)
        unsafe = not path.parts or path.is_absolute() or ".." in path.parts or "\\" in info.filename
        if unsafe or ":" in info.filename or stat.S_ISLNK(info.external_attr >> 16):
            raise DownloadError(f"{archive.name} holds the unsafe member {info.filename!r}")
        if not info.is_dir() and path.parts[0] != "__MACOSX" and path.name != ".DS_Store":
            layout.append((info, path))
    parents = [path.parent.parts for _, path in layout]
    levels = takewhile(lambda level: len(set(level)) == 1, zip(*parents, strict=False))
    shared = len(list(levels))
    layout = [(info, PurePosixPath(*path.parts[shared:])) for info, path in layout]
    files = [path for _, path in layout]
    doubled = set(files).intersection(parent for path in files for parent in path.parents)
    doubled |= {path for path, count in Counter(files).items() if count > 1}
    if doubled:
        raise DownloadError(f"{archive.name} holds {sorted(map(str, doubled))[0]!r} more than once")
    return layout


def _check_size(archive: Path, total: int, max_bytes: int) -> None:
    limit = min(max_bytes, max(64 * 2**20, 20 * archive.stat().st_size))
    if total > limit:
        raise DownloadError(
            f"{archive.name} unpacks to {total} bytes, at most {limit} are accepted"
        )


@contextmanager
def _opened(archive: Path) -> Iterator[ZipFile]:
    try:
        with ZipFile(archive) as zipped:
            yield zipped
    # zipfile says RuntimeError for an encrypted member, and NotImplementedError for odd methods.
    except (BadZipFile, EOFError, RuntimeError, zlib.error) as error:
        raise DownloadError(f"{archive.name} is damaged or no plain zip: {error}") from error


def _write(zipped: ZipFile, info: ZipInfo, target: Path, limit: int) -> None:
    if info.file_size > limit:
        raise DownloadError(
            f"{info.filename} unpacks to {info.file_size} bytes, at most {limit} are accepted"
        )
    # zipfile stops at the size its header states, so the check above bounds what is written.
    with zipped.open(info) as source, target.open("wb") as file:
        shutil.copyfileobj(source, file, 2**20)
