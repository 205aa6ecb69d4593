"""Datasets on the Hugging Face hub, `hf:OWNER/NAME?config=...&split=...&revision=...`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from orality.corpus.readers.tables import num_rows
from orality.corpus.sources import split_named
from orality.errors import CorpusError, DownloadError
from orality.weights.cache import is_offline

PREFIX = "hf:"
_KEYS = frozenset({"config", "split", "revision"})


def tables_on_the_hub(name: str) -> list[tuple[Path, str | None]]:
    """The Arrow files of a dataset, fetched into the package's cache, with their splits.

    `split` may name several, `train.100,validation`; without it all are taken. `revision`: a commit
    keeps a run what it was; without it the newest is taken. Raises CorpusError for a name of
    another form or without the package `datasets`, DownloadError when the hub cannot give it.
    """
    dataset, asked = _parsed(name)
    datasets = _package(name)
    with _explained(name):
        options = {"revision": asked.get("revision")}
        if "split" in asked:
            found = {
                split: datasets.load_dataset(dataset, asked.get("config"), split=split, **options)
                for split in asked["split"].split(",")
            }
        else:
            found = dict(datasets.load_dataset(dataset, asked.get("config"), **options))
    return [
        (path, split_named(split)) for split, part in found.items() for path in files_of(part, name)
    ]


def files_of(loaded: Any, name: str) -> list[Path]:
    """The Arrow files that a loaded dataset is. CorpusError when it is only a part of them."""
    paths = [Path(item["filename"]) for item in loaded.cache_files]
    selected = getattr(loaded, "_indices", None) is not None
    if selected or not paths or sum(num_rows(str(path)) for path in paths) != len(loaded):
        raise CorpusError(
            f"{name}: a part of a split was asked for; wanted whole splits, which "
            "corpus.max_prompts limits"
        )
    return paths


def _parsed(name: str) -> tuple[str, dict[str, str]]:
    dataset, _, query = name.removeprefix(PREFIX).partition("?")
    asked = dict(parse_qsl(query))
    unknown = sorted(set(asked) - _KEYS)
    whole = re.fullmatch(r"\w[\w.-]*(/\w[\w.-]*)?", dataset) and (not query or asked)
    if not whole or unknown:
        raise CorpusError(
            f"{name!r} is no dataset on the hub{': unknown ' + unknown[0] if unknown else ''}; "
            f"wanted {PREFIX}OWNER/NAME?config=NAME&split=NAME,NAME&revision=COMMIT"
        )
    return dataset, asked


def _package(name: str) -> Any:
    try:
        import datasets
    except ImportError as error:
        raise CorpusError(
            f"{name} needs the package datasets: pip install 'orality[datasets]'; what "
            "save_to_disk wrote, or a folder of Parquet files, is read without it"
        ) from error
    if is_offline() and not datasets.config.HF_HUB_OFFLINE:
        raise DownloadError(
            f"{name} may have to be fetched, but downloads are forbidden (ORALITY_OFFLINE=1): set "
            "HF_HUB_OFFLINE=1 too to use what is in the cache of datasets"
        )
    return datasets


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """What the package raises, as one error that says what to do."""
    try:
        yield
    except Exception as error:  # it raises whatever its parts raise
        advice = (
            "downloads are forbidden (HF_HUB_OFFLINE=1), and it is not in the cache"
            if is_offline()
            else "check the name, the configuration, the split and the network"
        )
        reason = (str(error).strip().splitlines() or [""])[0]
        raise DownloadError(
            f"{name} cannot be had: {type(error).__name__}: {reason}; {advice}"
        ) from error
