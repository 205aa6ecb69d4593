"""Held-out prompts continued, and the metrics of those continuations."""
