"""How packed rows attend: one interface, several backends, chosen explicitly and logged.

`visible` is the mask that all of them honour, and that none of them makes.
"""

from __future__ import annotations

from orality.training.attention.choice import AUTO, offer_attention, packed_attention
from orality.training.attention.plan import Backend, RowAttention, visible

__all__ = ["AUTO", "Backend", "RowAttention", "offer_attention", "packed_attention", "visible"]
