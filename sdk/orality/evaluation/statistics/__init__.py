"""Intervals, tests, and agreement between raters."""
