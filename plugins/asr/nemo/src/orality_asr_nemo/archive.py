"""A .nemo file is a tar that anybody can make: unpack it without trusting what it says."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from shutil import copyfileobj

from orality import CheckpointError

_MOST_MEMBERS = 10_000
# Weights hardly compress, so an archive that unpacks to much more than its size is a trap.
_LARGEST_RATIO, _ALWAYS_ALLOWED = 20, 64 * 2**20


def unpack(archive: Path, folder: Path) -> None:
    """Write the files of a .nemo into `folder`, which must be empty.

    Raises CheckpointError, before anything is written, for absolute paths, `..`, links, devices,
    names that occur twice, and archives that unpack to more than 20 times their size.
    """
    with _opened(archive) as tar:
        members = _checked(archive, tar)
        for member, path in members:
            target = folder.joinpath(*path.parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            source = tar.extractfile(member)
            if source is None:
                raise CheckpointError(f"{archive} holds the unreadable member {member.name!r}")
            with source, target.open("xb") as file:
                copyfileobj(source, file, 2**20)


def _checked(archive: Path, tar: tarfile.TarFile) -> list[tuple[tarfile.TarInfo, PurePosixPath]]:
    most = _LARGEST_RATIO * archive.stat().st_size + _ALWAYS_ALLOWED
    members: list[tuple[tarfile.TarInfo, PurePosixPath]] = []
    seen: set[PurePosixPath] = set()
    for count, member in enumerate(tar, start=1):
        path = PurePosixPath(member.name)
        leaves = path.is_absolute() or ".." in path.parts or "\\" in member.name
        if leaves or ":" in member.name or not (member.isfile() or member.isdir()):
            raise CheckpointError(
                f"{archive} holds the unsafe member {member.name!r}; a .nemo file has plain files "
                "inside, no links and no paths that lead out of it"
            )
        if count > _MOST_MEMBERS or member.issparse():
            raise CheckpointError(f"{archive} is no model: it has too many or sparse members")
        most -= member.size
        if most < 0:
            raise CheckpointError(f"{archive} unpacks to far more than its size; refused")
        if member.isdir():
            continue
        if path in seen:
            raise CheckpointError(f"{archive} holds {member.name!r} twice")
        seen.add(path)
        members.append((member, path))
    return members


@contextmanager
def _opened(archive: Path) -> Iterator[tarfile.TarFile]:
    """Plain, or compressed as by NeMo before 1.7."""
    try:
        with tarfile.open(archive, "r:*") as tar:
            yield tar
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise CheckpointError(f"{archive} is no .nemo file: {error}") from error
