"""A training from a base model to a saved adapter: what every method does around the loop."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from orality.errors import TrainingError
from orality.progress import Progress, silent
from orality.protocols import SpeechLM
from orality.store.files import read_json, write_json
from orality.tracking import Tracked
from orality.training.adapter import adapted, save_adapter
from orality.training.attention import AUTO, packed_attention
from orality.training.checkpointing import recomputed_layers
from orality.training.devices import accelerator_for, require_agreement
from orality.training.log_probs import Score, sum_log_probs
from orality.training.loop import Settings, train
from orality.training.method import ItemT, Method
from orality.training.precision import cast_once
from orality.training.sharding import sharded

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Lora:
    """Size of the adapter: rank, scale numerator (the scale is alpha / r), dropout."""

    r: int = 32
    alpha: int = 8
    dropout: float = 0.0


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """What came out: `adapter` is a PEFT folder with the weights of `best_step`.

    `train`: figures of the last step. `dev`: figures of the best step, empty without dev items.
    `seconds`: of this call; 0 when the training was finished before.
    """

    adapter: Path
    steps: int
    best_step: int
    train: Mapping[str, float]
    dev: Mapping[str, float]
    seconds: float

    @property
    def dev_reward_accuracy(self) -> float | None:
        """Share of dev pairs whose chosen side the policy rewards more; None if not measured."""
        return self.dev.get("reward_accuracy")


def fit(
    slm: SpeechLM,
    method: Method[ItemT],
    prepare: Callable[[nn.Module, Score, Any], tuple[Sequence[ItemT], Sequence[ItemT]]],
    settings: Settings,
    *,
    base: str,
    data: str,
    options: Mapping[str, Any],
    lora: Lora,
    out: Path,
    adapter: Path | None,
    attention: str = AUTO,
    tracked: Tracked | None = None,
    progress: Progress = silent,
) -> TrainResult:
    """Train an adapter for `slm`, save it, and leave `slm` as it was.

    `prepare` gets the adapted module, how to score with it, and the accelerator that it is on; it
    returns training and dev items.
    `base` and `data` are fingerprints of the model and of what is learned from, `options` the
    method's own settings: a folder that holds another training is refused, a finished one is not
    trained again.
    """
    dtype = next(slm.module.parameters()).dtype
    if dtype == torch.float16:
        raise TrainingError(
            "the model is in float16, whose gradients overflow; load it in float32 or bfloat16"
        )
    adapter = out / "adapter" if adapter is None else adapter
    # How much fits in memory is the machine's affair: a training may continue on another.
    machine = {"max_tokens", "activation_checkpointing", "compile", "shard"}
    fixed = {k: v for k, v in asdict(settings).items() if k not in machine}
    identity = {
        "method": method.name, "base": base, "data": data, **fixed, **options, "lora": asdict(lora),
    }  # fmt: skip
    accelerator = accelerator_for(slm.module, shard=settings.shard)
    require_agreement(accelerator, json.dumps(identity, sort_keys=True))
    if accelerator.is_main_process:
        _claim(out / "training.json", identity)
    accelerator.wait_for_everyone()
    if (out / "result.json").is_file() and adapter.is_dir():
        logger.info("%s is finished; nothing to train", out)
        return TrainResult(adapter=adapter, seconds=0.0, **read_json(out / "result.json"))

    began = time.monotonic()
    seed = settings.seed
    with (
        adapted(slm, r=lora.r, alpha=lora.alpha, dropout=lora.dropout, seed=seed) as policy,
        _no_cache(slm.module),
        cast_once(policy.module, settings.precision),
        sharded(policy.module, accelerator, on=settings.shard) as module,
        packed_attention(module, attention) as backend,
        recomputed_layers(module, on=settings.activation_checkpointing),
    ):
        score = partial(sum_log_probs, module, backend=backend)
        items, dev_items = prepare(module, score, accelerator)
        outcome = train(
            module, method, items, dev_items, settings, accelerator=accelerator,
            backend=backend, out=out, progress=progress,
            tracked=_in_main_process(tracked, accelerator, identity),
        )  # fmt: skip
        if accelerator.is_main_process:
            save_adapter(policy, adapter, base=base)
            write_json(out / "result.json", asdict(outcome))
        accelerator.wait_for_everyone()
    return TrainResult(adapter=adapter, seconds=time.monotonic() - began, **asdict(outcome))


def _in_main_process(
    tracked: Tracked | None, accelerator: Any, identity: Mapping[str, Any]
) -> Tracked | None:
    if tracked is None or not accelerator.is_main_process:
        return None
    return replace(tracked, config={**tracked.config, "training": identity})


def unique_ids(*groups: Sequence[str]) -> None:
    """Raise TrainingError when an id comes twice, in one group or over all of them."""
    seen: set[str] = set()
    for name in (name for group in groups for name in group):
        if name in seen:
            raise TrainingError(
                f"the id {name!r} comes twice; training and dev items must be distinct"
            )
        seen.add(name)


def _claim(path: Path, identity: Mapping[str, Any]) -> None:
    if not path.is_file():
        write_json(path, identity)
        return
    found = read_json(path)
    different = sorted(key for key in {*identity, *found} if identity.get(key) != found.get(key))
    if different:
        raise TrainingError(
            f"{path.parent} holds another training (different: {', '.join(different)}); train into "
            "another folder, or delete this one"
        )


@contextmanager
def _no_cache(module: nn.Module) -> Iterator[None]:
    """Keys and values of a whole row are of no use to training."""
    config: Any = getattr(module, "config", None)
    before = getattr(config, "use_cache", None)
    if before is None:
        yield
        return
    config.use_cache = False
    try:
        yield
    finally:
        config.use_cache = before
