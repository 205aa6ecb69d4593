"""Seeds that depend on names, never on order, batch or process."""

from __future__ import annotations

import hashlib


def seed_of(seed: int, *names: str) -> int:
    """A 31-bit seed of the run's seed and of names."""
    text = "/".join([str(seed), *names])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1
