"""Fetch one file over http(s): resumed where it broke off, retried, checked by its sha256."""

from __future__ import annotations

import logging
import time
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from orality.errors import DownloadError
from orality.progress import Progress, silent
from orality.weights.cache import file_sha256
from orality.weights.sources import Url

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 30.0
ATTEMPTS = 5
_BLOCK = 2**18
_FINAL = {400, 401, 403, 404, 405, 410}


def download(source: Url, target: Path, *, progress: Progress = silent, pause: float = 1.0) -> str:
    """Write `source` to `target` and return its sha256.

    A partial `target + ".part"` is continued by a Range request. `pause`: seconds before the
    first retry, doubled at each further one. Raises DownloadError when the server refuses, when
    every attempt breaks off, or when the bytes are not the promised ones.
    """
    where = source.public.url
    if not source.url.startswith(("https://", "http://")):
        raise DownloadError(f"got the address {where!r}, wanted http:// or https://")
    partial = target.with_name(target.name + ".part")
    for attempt in range(ATTEMPTS):
        try:
            _continue(source, partial, progress)
            break
        except HTTPError as error:
            if error.code in _FINAL or attempt == ATTEMPTS - 1:
                raise DownloadError(f"{where} was refused: {error.code} {error.reason}") from error
            reason: Exception = error
        except (URLError, HTTPException, TimeoutError, ConnectionError) as error:
            if attempt == ATTEMPTS - 1:
                raise DownloadError(
                    f"{where} could not be fetched in {ATTEMPTS} attempts: {error}; check "
                    f"the network and run again, or put the file at {target}"
                ) from error
            reason = error
        logger.info("%s broke off (%s); trying again", where, reason)
        time.sleep(pause * 2**attempt)
    found = file_sha256(partial)
    if source.sha256 is not None and found != source.sha256.lower():
        partial.unlink()
        raise DownloadError(
            f"{where} has the sha256 {found}, wanted {source.sha256}; the file changed or "
            "was damaged on the way: run again, and if it stays so do not use it"
        )
    partial.replace(target)
    return found


def _continue(source: Url, partial: Path, progress: Progress) -> None:
    """Append what is missing to `partial`; a server that ignores Range starts it anew."""
    start = partial.stat().st_size if partial.exists() else 0
    headers = {"User-Agent": "orality", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    try:
        response = urlopen(Request(source.url, headers=headers), timeout=TIMEOUT_SECONDS)
    except HTTPError as error:
        if error.code == 416 and start:  # nothing is missing, or the file is another one now
            if error.headers.get("Content-Range", "").endswith(f"/{start}"):
                return
            partial.unlink()
            raise ConnectionError("the partial file does not fit any more") from error
        raise
    with response:
        resumed = response.status == 206
        done = start if resumed else 0
        left = response.headers.get("Content-Length")
        total = done + int(left) if left else 0
        _check_size(source, max(total, done))
        with partial.open("ab" if resumed else "wb") as file:
            done = _copy(response, file, source, done, total, progress)
    if total and done < total:
        raise ConnectionError(f"got {done} of {total} bytes")


def _copy(response: Any, file: Any, source: Url, done: int, total: int, progress: Progress) -> int:
    while block := response.read(_BLOCK):
        file.write(block)
        done += len(block)
        _check_size(source, done)
        progress(f"download {source.target}", done, total)
    return done


def _check_size(source: Url, size: int) -> None:
    if size > source.max_bytes:
        raise DownloadError(
            f"{source.public.url} has {size} bytes or more, at most {source.max_bytes} are accepted"
        )
