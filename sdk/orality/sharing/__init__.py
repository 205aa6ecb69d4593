"""Sharing a run: a PEFT adapter with its card and results, and the preference set with its own."""

from __future__ import annotations

from orality.sharing.pushing import Sharing, push

__all__ = ["Sharing", "push"]
