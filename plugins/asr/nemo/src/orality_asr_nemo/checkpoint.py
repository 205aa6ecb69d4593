"""From a checkpoint's name to a folder of files that are safe to hand to NeMo."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from orality import CheckpointError, fetch
from orality.checkpoints import note_checkpoint
from orality.weights import Checkpoint, Hub
from orality_asr_nemo.archive import unpack
from orality_asr_nemo.configuration import check_configuration
from orality_asr_nemo.weights import check_weights

_CONFIGURATION = "model_config.yaml"
_PARTS = ("*.nemo", "*.yaml", "*.ckpt", "*.model", "*.vocab", "*.txt")
_ON_THE_HUB = re.compile(r"(?:hub:)?([\w.-]+/[\w.-]+?)(?:@([\w.-]+))?")


def find_checkpoint(name: str) -> Path | None:
    """The .nemo file, or the folder of an unpacked one; None for a name only NeMo may know.

    Raises CheckpointError for a path that leads nowhere, DownloadError when the hub is needed and
    cannot be had.
    """
    path = Path(name).expanduser()
    if path.exists():
        return _model_in(note_checkpoint(path))
    on_the_hub = _ON_THE_HUB.fullmatch(name)
    if path.suffix == ".nemo" or path.is_absolute() or name.startswith("."):
        raise CheckpointError(f"{name} does not exist; wanted a .nemo file, OWNER/NAME or a name")
    if on_the_hub:
        repository, revision = on_the_hub[1], on_the_hub[2] or "main"
        source = Hub(repository, revision, files=_PARTS)
        return _model_in(fetch(Checkpoint(repository.replace("/", "--"), (source,))))
    if "://" in name:
        return _model_in(fetch(name))
    return None


@contextmanager
def opened(path: Path) -> Iterator[Path]:
    """The folder of a .nemo's files, all of them checked; it is gone afterwards if it was packed.

    Raises CheckpointError before NeMo sees the files, and before torch is imported where a look
    at names and configurations is enough.
    """
    if path.is_dir():
        _check(path, path)
        yield path
        return
    with TemporaryDirectory(prefix="orality-nemo-") as name:
        folder = Path(name)
        unpack(path, folder)
        _check(path, folder)
        yield folder


def _check(path: Path, folder: Path) -> None:
    if not (folder / _CONFIGURATION).is_file():
        raise CheckpointError(f"{path} is no NeMo checkpoint: it lacks {_CONFIGURATION}")
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    pickles = [file.name for file in files if file.suffix in (".pkl", ".pickle", ".joblib")]
    if pickles:
        raise CheckpointError(f"{path} holds the pickle {pickles[0]}; refused")
    try:
        for file in files:
            if file.suffix in (".yaml", ".yml"):
                check_configuration(file)
            elif file.suffix == ".nemo":
                with opened(file):
                    pass
        for file in files:
            if file.suffix in (".ckpt", ".pt", ".pth"):
                check_weights(file)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error


def _model_in(path: Path) -> Path:
    """A file as it is; in a folder its .nemo, unless the folder is an unpacked one itself."""
    if path.is_file() or (path / _CONFIGURATION).is_file():
        return path
    found = sorted(path.glob("*.nemo"))
    if len(found) != 1:
        raise CheckpointError(
            f"{path} has {len(found)} .nemo files and no {_CONFIGURATION}; wanted one model"
        )
    return found[0]
