"""Take files out of a wheel or zip archive without trusting what it says about itself."""

from __future__ import annotations

import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from zipfile import BadZipFile, ZipFile, ZipInfo

from orality.errors import DownloadError
from orality.weights.cache import file_sha256
from orality.weights.sources import Member

MAX_MEMBER_BYTES = 8 * 2**30


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
    """Unpack a zip archive; a sole top folder is stripped.

    Refuses absolute paths, `..`, links, and more than `max_bytes` in total.
    """
    with _opened(archive) as zipped:
        infos = [info for info in zipped.infolist() if not info.is_dir()]
        for info in infos:
            path = PurePosixPath(info.filename)
            unsafe = path.is_absolute() or ".." in path.parts or "\\" in info.filename
            if unsafe or ":" in info.filename or stat.S_ISLNK(info.external_attr >> 16):
                raise DownloadError(f"{archive.name} holds the unsafe member {info.filename!r}")
        tops = {PurePosixPath(info.filename).parts[0] for info in infos}
        nested = all(len(PurePosixPath(info.filename).parts) > 1 for info in infos)
        skip = 1 if len(tops) == 1 and nested else 0
        left = max_bytes
        for info in infos:
            target = folder.joinpath(*PurePosixPath(info.filename).parts[skip:])
            target.parent.mkdir(parents=True, exist_ok=True)
            _write(zipped, info, target, left)
            left -= target.stat().st_size


@contextmanager
def _opened(archive: Path) -> Iterator[ZipFile]:
    try:
        with ZipFile(archive) as zipped:
            yield zipped
    except BadZipFile as error:
        raise DownloadError(f"{archive.name} is damaged: {error}") from error


def _write(zipped: ZipFile, info: ZipInfo, target: Path, limit: int) -> None:
    if info.file_size > limit:
        raise DownloadError(
            f"{info.filename} unpacks to {info.file_size} bytes, at most {limit} are accepted"
        )
    # zipfile stops at the size its header states, so the check above bounds what is written.
    with zipped.open(info) as source, target.open("wb") as file:
        shutil.copyfileobj(source, file, 2**20)
