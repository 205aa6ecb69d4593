"""Metrics: pure functions of texts, sounds and units."""
