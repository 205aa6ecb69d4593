"""Likelihood judge for orality: the judge `likelihood`."""

from __future__ import annotations
