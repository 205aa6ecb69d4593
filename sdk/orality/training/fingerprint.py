"""Names for models and data that change when they do."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import torch
from torch import Tensor

from orality.protocols import SpeechLM


def policy_fingerprint(slm: SpeechLM) -> str:
    """sha256 (hex) of a model's weights as they are now, and of what its units mean."""
    spec = slm.unit_spec
    digest = hashlib.sha256(f"{spec.codebook} {spec.vocab_size} {spec.fingerprint}".encode())
    for name, weight in sorted(slm.module.named_parameters()):
        digest.update(f"{name} {weight.dtype} {tuple(weight.shape)}".encode())
        digest.update(_bytes(weight))
    return digest.hexdigest()


def data_fingerprint(items: Iterable[tuple[str, Iterable[Tensor]]]) -> str:
    """sha256 (hex) of ids and their tokens, in order."""
    digest = hashlib.sha256()
    for name, tensors in items:
        digest.update(name.encode())
        for tensor in tensors:
            digest.update(f" {tuple(tensor.shape)} ".encode())
            digest.update(_bytes(tensor))
    return digest.hexdigest()


def _bytes(tensor: Tensor) -> memoryview:
    flat = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
    return flat.numpy().data
