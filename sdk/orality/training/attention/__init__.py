"""Which attention implementation a model runs: chosen explicitly, and logged."""

from __future__ import annotations

from orality.training.attention.choice import AUTO, choose_attention
from orality.training.attention.registration import offer_attention

__all__ = ["AUTO", "choose_attention", "offer_attention"]
