"""What a run's systems are called, and the folders that hold what makes them."""

from __future__ import annotations

PRETRAINED = "pre-trained"
BASELINES = {"fine-tuned": "baseline-fine-tuned", "perplexity feedback": "baseline-perplexity"}
"""Further systems of Align-SLM's Table 1, with their folders in a run."""
ADOPTION = "adoption.json"
"""Beside a round's pairs: whether its policy was kept."""


def aligned(number: int) -> str:
    """The system that a round makes, from 1."""
    return f"aligned round {number}"
