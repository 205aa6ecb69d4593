from __future__ import annotations

from hypothesis import settings

# Shared machines are slow at times; a slow example is not a wrong one.
settings.register_profile("shared", deadline=None, max_examples=60)
settings.load_profile("shared")
