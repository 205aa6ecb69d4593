"""Training a language model over speech units: next-unit prediction (TWIST, Hassid et al. 2023)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from orality.errors import TrainingError
from orality.pretraining.loop import (
    bfloat16,
    pick_device,
    run_training,
    update,
    warmup_then_linear,
)
from orality.pretraining.unit_lm.data import OFFSET, PAD, BatchSource, Ids, UnitCorpus
from orality.pretraining.unit_lm.model import cold_unit_lm, warm_unit_lm, write_unit_lm
from orality.progress import Progress, silent
from orality.types import UnitSpec

logger = logging.getLogger(__name__)

Evaluate = Callable[[nn.Module], Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class UnitLMSettings:
    """Size and schedule; the defaults are those of the shipped `tiny` model.

    `batch_tokens`: tokens a step, padding included. `learning_rate`: the peak. `ema`: decay of the
    moving average of the weights, which is what is saved; 0 saves the weights themselves. `noise`:
    share of the input units that are replaced by random ones.
    """

    hidden_size: int = 256
    layers: int = 4
    context_length: int = 512
    steps: int = 10_750
    batch_tokens: int = 2_000
    learning_rate: float = 2e-3
    warmup: int = 200
    weight_decay: float = 0.1
    dropout: float = 0.1
    noise: float = 0.0
    ema: float = 0.999
    seed: int = 0


def train_unit_lm(
    corpus: UnitCorpus,
    *,
    unit_spec: UnitSpec,
    out: Path,
    settings: UnitLMSettings | None = None,
    warm_start: Path | None = None,
    device: str = "auto",
    evaluate: Evaluate | None = None,
    evaluate_every: int = 2_000,
    held_out: Sequence[Ids] = (),
    checkpoint_seconds: float = 120.0,
    progress: Progress = silent,
) -> Path:
    """Train on the corpus and return `out/model`, a folder in TWIST's format.

    `warm_start`: a text model's folder; its body is kept and the embeddings are new (TWIST), sizes
    in `settings` are then unused. `evaluate` gets the model; what it returns is logged with the
    loss on `held_out` in nats per unit, and `out/model` is written anew. A second call with the
    same `out` continues where the first was cut. Raises TrainingError for an unusable corpus.
    """
    options = settings or UnitLMSettings()
    _check_units(corpus, unit_spec)
    place = pick_device(device)
    torch.manual_seed(options.seed)
    module = (
        warm_unit_lm(warm_start, unit_spec)
        if warm_start
        else cold_unit_lm(
            unit_spec,
            hidden_size=options.hidden_size,
            layers=options.layers,
            context_length=options.context_length,
            dropout=options.dropout,
        )
    )
    module.to(place).train()
    decay: Any = get_ema_multi_avg_fn(options.ema)  # type: ignore[no-untyped-call]
    average = AveragedModel(module, multi_avg_fn=decay)
    optimizer = _optimizer(module, options, fused=place.type in ("cpu", "cuda"))
    context: int = module.config.max_position_embeddings
    source = BatchSource(
        corpus,
        tokens=options.batch_tokens,
        max_length=context,
        seed=options.seed,
        noise=options.noise,
    )

    def step(index: int) -> dict[str, torch.Tensor]:
        batch = source[index]
        with bfloat16(place):
            logits = module(
                input_ids=batch.inputs.to(place),
                position_ids=batch.positions.to(place),
                use_cache=False,
            ).logits
        targets = batch.targets.to(place)
        loss = F.cross_entropy(logits.float().flatten(0, 1), targets.flatten())
        update(loss, optimizer)
        average.update_parameters(module)
        return {"loss": loss.detach()}

    def measure(done: int) -> dict[str, float]:
        best: Any = average.module if options.ema else module
        best.eval()
        figures: dict[str, float] = {}
        if held_out:
            figures["held_out_loss"] = held_out_loss(best, held_out)
        if evaluate is not None:
            figures.update(evaluate(best))
        write_unit_lm(best, out / "model", unit_spec)
        module.train()
        return figures

    rate = warmup_then_linear(
        options.learning_rate, options.steps, warmup=options.warmup, hold=0.1, floor=0.01
    )
    fixed = {k: v for k, v in asdict(options).items() if k != "steps"}
    run_training(
        out=out,
        name="unit language model",
        state={"module": module, "average": average},
        step=step,
        total_steps=options.steps,
        learning_rate=rate,
        optimizers={"optimizer": optimizer},
        seed=options.seed,
        evaluate=measure,
        evaluate_every=evaluate_every,
        checkpoint_seconds=checkpoint_seconds,
        settings={**fixed, "units": asdict(unit_spec), "warm_start": str(warm_start)},
        progress=progress,
    )
    if not (out / "model").is_dir():  # resumed after its last step, before the folder was written
        measure(options.steps)
    return out / "model"


def held_out_loss(module: nn.Module, sequences: Sequence[Ids], *, rows: int = 16) -> float:
    """Mean negative log-probability in nats per unit, the first of each sequence left out."""
    device = next(module.parameters()).device
    total, count = 0.0, 0
    ordered = sorted(sequences, key=len)
    with torch.inference_mode():
        for first in range(0, len(ordered), rows):
            parts = [torch.from_numpy(ids + OFFSET) for ids in ordered[first : first + rows]]
            ids = nn.utils.rnn.pad_sequence(parts, batch_first=True, padding_value=PAD).to(device)
            logits = module(input_ids=ids, use_cache=False).logits[:, :-1]
            targets = ids[:, 1:].flatten()
            total += float(
                F.cross_entropy(
                    logits.float().flatten(0, 1), targets, ignore_index=PAD, reduction="sum"
                )
            )
            count += int((targets != PAD).sum())
    return total / max(1, count)


def _optimizer(module: nn.Module, options: UnitLMSettings, *, fused: bool) -> torch.optim.AdamW:
    """AdamW (Loshchilov & Hutter, 2019); embeddings, biases and norms do not decay."""
    decayed: list[nn.Parameter] = []
    free: list[nn.Parameter] = []
    for name, weight in module.named_parameters():
        matrix = weight.ndim == 2 and "embed" not in name and "lm_head" not in name
        (decayed if matrix else free).append(weight)
    groups = [
        {"params": decayed, "weight_decay": options.weight_decay},
        {"params": free, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=options.learning_rate, betas=(0.9, 0.95), fused=fused)


def _check_units(corpus: UnitCorpus, unit_spec: UnitSpec) -> None:
    for name, ids in corpus.units.items():
        if len(ids) and (ids.min() < 0 or ids.max() >= unit_spec.vocab_size):
            raise TrainingError(
                f"sequence {name!r} has unit ids from {ids.min()} to {ids.max()}; the codebook "
                f"{unit_spec.codebook!r} has 0 to {unit_spec.vocab_size - 1}"
            )
        if unit_spec.deduplicated and (ids[1:] == ids[:-1]).any():
            raise TrainingError(f"sequence {name!r} repeats units; the codebook is de-duplicated")
