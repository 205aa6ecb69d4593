"""A training from a base model to a saved adapter: what every method does around the loop."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Generic

import torch
from torch import nn

from orality.errors import TrainingError
from orality.progress import Progress, silent
from orality.protocols import SpeechLM
from orality.store.files import read_json, write_json
from orality.tracking import Tracked
from orality.training.adapter import adapted, save_adapter
from orality.training.attention import AUTO, packed_attention
from orality.training.devices.checkpointing import recomputed_layers
from orality.training.devices.devices import accelerator_for, require_agreement
from orality.training.devices.precision import cast_once
from orality.training.devices.sharding import sharded
from orality.training.log_probs import Score, sum_log_probs
from orality.training.loop import Settings, train
from orality.training.method import ItemT, Method
from orality.training.metrics import read_metrics

logger = logging.getLogger(__name__)

Diagnosis = Callable[[Sequence[Mapping[str, float]], int], Sequence[str]]


@dataclass(frozen=True, kw_only=True)
class Lora:
    """Size of the adapter: rank, scale numerator (the scale is alpha / r), dropout; `targets`: the
    linear layers that it reaches, by the end of their names, the model's own choice if None."""

    r: int = 32
    alpha: int = 8
    dropout: float = 0.0
    targets: Sequence[str] | None = None


@dataclass(frozen=True, kw_only=True)
class Prepared(Generic[ItemT]):
    """What a training learns from and is measured on. `shortcuts`: accuracies of simple rules on
    the dev items, by name, in [0, 1]."""

    items: Sequence[ItemT]
    dev_items: Sequence[ItemT]
    shortcuts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """What came out: `adapter` is a PEFT folder with the weights of `best_step`.

    `train`: figures of the last step. `dev`: figures of the best step, empty without dev items.
    `shortcuts`: accuracies of simple rules on the dev items. `warnings`: what looks wrong, a
    sentence or two each. `seconds`: of this call; 0 when the training was finished before.
    """

    adapter: Path
    steps: int
    best_step: int
    train: Mapping[str, float]
    dev: Mapping[str, float]
    seconds: float
    shortcuts: Mapping[str, float] = field(default_factory=dict)
    warnings: Sequence[str] = ()

    @property
    def dev_reward_accuracy(self) -> float | None:
        """Share of dev pairs whose chosen side the policy rewards more; None if not measured."""
        return self.dev.get("reward_accuracy")


def fit(
    slm: SpeechLM,
    method: Method[ItemT],
    prepare: Callable[[nn.Module, Score, Any], Prepared[ItemT]],
    settings: Settings,
    *,
    base: str,
    data: str,
    options: Mapping[str, Any],
    lora: Lora,
    out: Path,
    adapter: Path | None,
    attention: str = AUTO,
    diagnose: Diagnosis = lambda records, best_step: [],
    tracked: Tracked | None = None,
    progress: Progress = silent,
) -> TrainResult:
    """Train an adapter for `slm`, save it, and leave `slm` as it was.

    `prepare` gets the adapted module, how to score with it, and the accelerator that it is on.
    `diagnose` says, of the metrics of all steps and the best one, what looks wrong: it is logged
    and kept with the result.
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
    identity = json.loads(json.dumps(identity))  # as it is read again
    accelerator = accelerator_for(slm.module, shard=settings.shard)
    require_agreement(accelerator, json.dumps(identity, sort_keys=True))
    if accelerator.is_main_process:
        _claim(out / "training.json", identity)
    accelerator.wait_for_everyone()
    if (out / "result.json").is_file() and adapter.is_dir():
        logger.info("%s is finished; nothing to train", out)
        found = TrainResult(adapter=adapter, seconds=0.0, **read_json(out / "result.json"))
        _warn(found.warnings, accelerator)
        return found

    began = time.monotonic()
    seed = settings.seed
    with (
        adapted(
            slm, r=lora.r, alpha=lora.alpha, dropout=lora.dropout, seed=seed, targets=lora.targets
        ) as policy,
        _no_cache(slm.module),
        cast_once(policy.module, settings.precision),
        sharded(policy.module, accelerator, on=settings.shard) as module,
        packed_attention(module, attention) as backend,
        recomputed_layers(module, on=settings.activation_checkpointing),
    ):
        score = partial(sum_log_probs, module, backend=backend)
        prepared = prepare(module, score, accelerator)
        outcome = train(
            module, method, prepared.items, prepared.dev_items, settings, accelerator=accelerator,
            backend=backend, out=out, constants=prepared.shortcuts, progress=progress,
            tracked=_in_main_process(tracked, accelerator, identity),
        )  # fmt: skip
        accelerator.wait_for_everyone()
        result: dict[str, Any] = {
            **asdict(outcome),
            "shortcuts": dict(prepared.shortcuts),
            "warnings": list(diagnose(read_metrics(out / "metrics.jsonl"), outcome.best_step)),
        }
        if accelerator.is_main_process:
            save_adapter(policy, adapter, base=base)
            write_json(out / "result.json", result)
        accelerator.wait_for_everyone()
    _warn(result["warnings"], accelerator)
    return TrainResult(adapter=adapter, seconds=time.monotonic() - began, **result)


def _warn(warnings: Sequence[str], accelerator: Any) -> None:
    for warning in warnings if accelerator.is_main_process else ():
        logger.warning("%s", warning)


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
