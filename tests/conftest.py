from __future__ import annotations

import os

if "PYTEST_XDIST_WORKER" in os.environ:  # side by side: threads that spin slow each other down
    os.environ.setdefault("OMP_NUM_THREADS", "1")

from hypothesis import settings

# Shared machines are slow at times; a slow example is not a wrong one.
settings.register_profile("shared", deadline=None, max_examples=60)
settings.load_profile("shared")
