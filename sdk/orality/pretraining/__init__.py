"""A stack of one's own: quantizer, unit language model and unit vocoder, trained from speech."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orality.pretraining.quantizer.train import train_quantizer
    from orality.pretraining.recipe import PretrainRecipe
    from orality.pretraining.stack import pretrain
    from orality.pretraining.unit_lm.train import train_unit_lm
    from orality.pretraining.vocoder.train import train_vocoder

__all__ = ["PretrainRecipe", "pretrain", "train_quantizer", "train_unit_lm", "train_vocoder"]

# The story texts are used without torch; the trainings are imported when first asked for.
_LAZY = {
    "PretrainRecipe": "orality.pretraining.recipe",
    "pretrain": "orality.pretraining.stack",
    "train_quantizer": "orality.pretraining.quantizer.train",
    "train_unit_lm": "orality.pretraining.unit_lm.train",
    "train_vocoder": "orality.pretraining.vocoder.train",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'orality.pretraining' has no attribute {name!r}")
