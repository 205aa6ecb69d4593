"""LoRA adapters: put onto a policy, saved as plain PEFT folders, stacked round upon round.

Round K trains a fresh adapter on top of the base with the adapters of the rounds before merged
in, so that switching the fresh one off gives the round's reference.
"""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import (
    LoraConfig,
    PeftConfig,
    PeftModel,
    get_peft_model,
    get_peft_model_state_dict,
    set_peft_model_state_dict,
)
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors.torch import load_file, save_file
from torch import nn

from orality.errors import CheckpointError, TrainingError
from orality.protocols import SpeechLM
from orality.store.files import read_json
from orality.store.folders import whole_folder
from orality.training.fingerprint import policy_fingerprint
from orality.weights.headers import refuse_misfits, tensor_shapes

logger = logging.getLogger(__name__)

WEIGHTS = "adapter_model.safetensors"
CARD = "orality.json"


def add_adapter(
    slm: SpeechLM,
    *,
    r: int = 32,
    alpha: int = 8,
    dropout: float = 0.0,
    seed: int = 0,
    targets: Sequence[str] | None = None,
) -> SpeechLM:
    """A policy with a fresh adapter on `targets`; nothing but the adapter is trainable.

    `targets`: the ends of layers' names, `slm.lora_targets` if None. TrainingError where one of
    them matches no layer, or one that takes no adapter.
    Its layers go into `slm.module` itself (no copy of the weights is made); `remove_adapter` takes
    them out. It starts as the identity, its weights depend on `seed` alone.
    """
    _refuse_adapted(slm)
    if targets is not None:
        _check_targets(slm.module, targets)
    wanted = slm.lora_targets if targets is None else list(targets)
    config = LoraConfig(
        r=r,
        lora_alpha=alpha,
        lora_dropout=dropout,
        target_modules=wanted,
        bias="none",
        fan_in_fan_out=_transposed(slm.module, wanted),
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        try:
            module = get_peft_model(slm.module, config)
        except ValueError as error:
            raise TrainingError(f"no adapter fits this model: {error}") from error
    return slm.with_module(module)


def remove_adapter(policy: SpeechLM) -> SpeechLM:
    """Take the adapter's layers out again; the base weights are as they were before."""
    return policy.with_module(_adapted(policy).unload())


def _transposed(module: nn.Module, targets: Sequence[str]) -> bool:
    """Whether the targets are GPT-2's Conv1D, whose weights are (in, out)."""
    hit = [
        type(part).__name__ == "Conv1D"
        for name, part in module.named_modules()
        if name.endswith(tuple(targets))
    ]
    return bool(hit) and all(hit)


def _check_targets(module: nn.Module, targets: Sequence[str]) -> None:
    """PEFT says nothing of a name that matches no layer as long as another one does."""
    names = [name for name, _ in module.named_modules()]
    lost = [t for t in targets if not any(name == t or name.endswith(f".{t}") for name in names)]
    if lost:
        linear = {
            name.rpartition(".")[2]
            for name, part in module.named_modules()
            if isinstance(part, nn.Linear) or type(part).__name__ == "Conv1D"  # GPT-2's
        }
        raise TrainingError(
            f"no layer is called {', '.join(map(repr, lost))}; LoRA targets are ends of layers' "
            f"names, and the linear layers here are {', '.join(sorted(linear))}"
        )


@contextmanager
def adapted(
    slm: SpeechLM,
    *,
    r: int,
    alpha: int,
    dropout: float,
    seed: int,
    targets: Sequence[str] | None = None,
) -> Iterator[SpeechLM]:
    """`add_adapter` for as long as the block lasts; `slm` is left as it was found."""
    trainable = {name: weight.requires_grad for name, weight in slm.module.named_parameters()}
    training = slm.module.training
    policy = add_adapter(slm, r=r, alpha=alpha, dropout=dropout, seed=seed, targets=targets)
    try:
        yield policy
    finally:
        remove_adapter(policy)
        slm.module.train(training)
        for name, weight in slm.module.named_parameters():
            weight.requires_grad_(trainable[name])


def save_adapter(policy: SpeechLM, path: Path, *, base: str | None = None) -> None:
    """Write a plain PEFT folder (safetensors), whole or not at all.

    `base`: fingerprint of the policy that the adapter sits on; `load_adapter` warns of another.
    """
    module = _adapted(policy)
    config = copy.deepcopy(module.peft_config["default"])
    config.inference_mode = True
    config.base_model_name_or_path = None  # a path of this machine would mean nothing elsewhere
    for name, value in vars(config).items():
        if isinstance(value, set):  # whose order changes from one process to the next
            setattr(config, name, sorted(value))
    weights = get_peft_model_state_dict(module, save_embedding_layers=False)
    card = {"codebook": policy.unit_spec.codebook, "base": base}
    with whole_folder(path) as partial:
        config.save_pretrained(str(partial))
        save_file(
            {name: weight.detach().cpu().contiguous() for name, weight in weights.items()},
            partial / WEIGHTS,
            metadata={"format": "pt"},
        )
        (partial / CARD).write_text(json.dumps(card, indent=2) + "\n")


def load_adapter(slm: SpeechLM, path: Path) -> SpeechLM:
    """A policy with a saved adapter on it, frozen; its layers go into `slm.module` itself.

    Raises CheckpointError for a folder that is no adapter, is damaged, is for other units or for
    another model: every tensor must have its place and every place its tensor. `slm.module` is
    then as it was.
    """
    _refuse_adapted(slm)
    for name in ("adapter_config.json", WEIGHTS):
        if not (path / name).is_file():
            raise CheckpointError(f"{path} is no adapter: it has no {name}")
    if (path / CARD).is_file():  # an adapter made by PEFT alone has none
        _check_card(slm, path)
    held = tensor_shapes(path / WEIGHTS)
    try:
        config = PeftConfig.from_pretrained(str(path))
        config.inference_mode, config.base_model_name_or_path = True, None
        module = get_peft_model(slm.module, config)
        wanted = get_peft_model_state_dict(module, save_embedding_layers=False)
        refuse_misfits(
            f"the adapter {path} does not fit this model",
            held=held,
            wanted={name: tuple(value.shape) for name, value in wanted.items()},
        )
        set_peft_model_state_dict(module, load_file(path / WEIGHTS))
        module.eval()
    except Exception as error:  # PEFT raises many kinds for a damaged folder
        _strip(slm.module)
        if isinstance(error, CheckpointError):
            raise
        reason = str(error) or type(error).__name__
        raise CheckpointError(f"the adapter {path} does not fit this model: {reason}") from error
    return slm.with_module(module)


def _strip(module: nn.Module) -> None:
    """Take out the layers of an adapter that was not put in as a whole."""
    for name, part in list(module.named_modules()):
        if isinstance(part, BaseTunerLayer):
            parent, _, last = name.rpartition(".")
            setattr(module.get_submodule(parent), last, part.get_base_layer())
    module.__dict__.pop("peft_config", None)


def load_policy(slm: SpeechLM, adapters: Sequence[Path]) -> SpeechLM:
    """The policy that the adapters of successive rounds make of a base model, merged, in order.

    `slm` itself stays as it is; the policy holds its own copy of the weights.
    """
    if not adapters:
        return slm
    dtype = next(slm.module.parameters()).dtype
    if dtype != torch.float32:
        logger.warning(
            "merging adapters into %s weights rounds small changes away; load the base in float32",
            dtype,
        )
    policy = slm.with_module(copy.deepcopy(slm.module))
    for path in adapters:
        policy = load_adapter(policy, path)
        policy = policy.with_module(_adapted(policy).merge_and_unload(safe_merge=True))
    policy.module.eval()
    return policy


def _check_card(slm: SpeechLM, path: Path) -> None:
    card = read_json(path / CARD)
    if not isinstance(card, dict) or not {"codebook", "base"} <= set(card):
        raise CheckpointError(f"{path / CARD} is no adapter's card: it names no codebook and base")
    if card["codebook"] != slm.unit_spec.codebook:
        raise CheckpointError(
            f"the adapter {path} is for units {card['codebook']!r}, the model has "
            f"{slm.unit_spec.codebook!r}"
        )
    # A warning only: merged weights may differ in the last bit from one device to another.
    if card["base"] is not None and card["base"] != policy_fingerprint(slm):
        logger.warning(
            "the adapter %s was trained on other weights; is an earlier round's missing?", path
        )


def _refuse_adapted(slm: SpeechLM) -> None:
    if isinstance(slm.module, PeftModel):
        raise TrainingError(
            "the model has an adapter on it already; merge it first (load_policy) or take it out "
            "(remove_adapter)"
        )


def _adapted(policy: SpeechLM) -> Any:
    if not isinstance(policy.module, PeftModel):
        raise TrainingError("the model has no adapter on it; add_adapter or load_adapter puts one")
    return policy.module
