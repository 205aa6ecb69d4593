"""Training methods: from stored pairs or sequences to an adapter.

A method is a function of a policy and what was stored (`train_dpo`, `train_sft`); a loss is a pure
function; there is one loop.
"""

from __future__ import annotations

from orality.training.adapter import (
    adapted,
    add_adapter,
    load_adapter,
    load_policy,
    remove_adapter,
    save_adapter,
)
from orality.training.attention import offer_attention, packed_attention
from orality.training.combine import combine_adapters
from orality.training.dpo import train_dpo
from orality.training.fingerprint import policy_fingerprint
from orality.training.fit import Lora, TrainResult
from orality.training.loop import Settings, train
from orality.training.losses import PreferenceLoss, preference_loss
from orality.training.method import Method
from orality.training.metrics import read_metrics
from orality.training.sft import train_sft

__all__ = [
    "Lora",
    "Method",
    "PreferenceLoss",
    "Settings",
    "TrainResult",
    "adapted",
    "add_adapter",
    "combine_adapters",
    "load_adapter",
    "load_policy",
    "offer_attention",
    "packed_attention",
    "policy_fingerprint",
    "preference_loss",
    "read_metrics",
    "remove_adapter",
    "save_adapter",
    "train",
    "train_dpo",
    "train_sft",
]
