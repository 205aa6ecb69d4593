"""Train a unit vocoder on one voice: speech and its units in, a CodeHiFiGAN folder out.

Random segments teach the generator (spectral losses, and discriminators if asked), whole
sentences teach the duration predictor, beside it and for a while alone. On one CPU core a small
generator without discriminators becomes intelligible within the hour; discriminators are for GPUs.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from orality.errors import CheckpointError, CorpusError, TrainingError
from orality.pretraining.data import Utterance
from orality.pretraining.loop import (
    Losses,
    bfloat16,
    pick_device,
    rng_of,
    run_training,
    update,
    warmup_then_linear,
)
from orality.pretraining.vocoder.adversary import Adversary
from orality.pretraining.vocoder.code_hifigan import (
    Generator,
    VocoderShape,
    official_state,
    plain_state,
)
from orality.pretraining.vocoder.durations import duration_loss, train_durations
from orality.pretraining.vocoder.spectral import SpectralLoss
from orality.progress import Progress, silent
from orality.types import UnitSpec

logger = logging.getLogger(__name__)

FrameUnits = Mapping[str, NDArray[np.int64]]
MEL_WEIGHT = 3.0


def train_vocoder(
    speech: Sequence[Utterance],
    frame_units: FrameUnits,
    out: Path,
    *,
    unit_spec: UnitSpec,
    shape: VocoderShape | None = None,
    steps: int = 15_000,
    duration_steps: int | None = None,
    batch: int = 8,
    segment: int = 32,
    learning_rate: float = 1e-3,
    adversarial: bool = False,
    init_from: Path | None = None,
    seed: int = 0,
    device: str = "auto",
    progress: Progress = silent,
) -> Path:
    """Train on (frame units, waveform) and return the finished checkpoint's folder, `out/vocoder`.

    `frame_units`: utterance id -> unit of every frame, before de-duplication, shape (frames,).
    `segment`: frames per training example. `duration_steps`: see `train_durations`; None is three
    quarters of `steps`. `init_from`: a vocoder folder of the same shape whose body is taken over
    (not its unit embedding, not its durations: the units may mean other things). A killed run
    continues when called again. Raises CorpusError when no utterance fits, TrainingError when ids,
    rates or shapes do not.
    """
    shape = shape or VocoderShape(unit_spec.vocab_size)
    _check(speech, frame_units, unit_spec, shape, segment)
    kept = [item for item in speech if _frames(item, frame_units, shape.hop) >= segment]
    where = pick_device(device)
    torch.manual_seed(seed)
    generator = Generator(shape).to(where)
    if init_from is not None:
        take_body(generator, init_from)
    spectral = SpectralLoss(shape.sample_rate).to(where)
    optimizer = torch.optim.AdamW(generator.parameters(), lr=learning_rate, betas=(0.8, 0.99))
    adversary = Adversary(where, learning_rate / 2) if adversarial else None

    def step(index: int) -> Losses:
        rng = rng_of(seed, index)
        chosen = [kept[i] for i in rng.integers(len(kept), size=batch)]
        units, truth = (
            torch.from_numpy(part).to(where)
            for part in _segments(chosen, frame_units, segment, shape.hop, rng)
        )
        with bfloat16(where):
            guess = generator(units)
        guess = guess.float()
        distances = spectral(guess, truth)
        durations = duration_loss(generator, [frame_units[item.id] for item in chosen])
        loss = MEL_WEIGHT * distances.mel + distances.stft + durations
        losses = {"mel": distances.mel, "stft": distances.stft, "duration": durations}
        if adversary is not None:
            fooled, features, lesson = adversary(guess, truth)
            loss = loss + fooled + 2 * features
            losses |= {"fooled": fooled, "features": features, "lesson": lesson}
        losses["norm"] = torch.tensor(update(loss, optimizer, clip=100.0))
        return {name: value.detach() for name, value in losses.items()}

    run_training(
        out=out,
        name="vocoder",
        state={"generator": generator, **({"adversary": adversary} if adversary else {})},
        step=step,
        total_steps=steps,
        learning_rate=warmup_then_linear(learning_rate, steps, warmup=100),
        optimizers={
            "optimizer": optimizer,
            **({"critic": adversary.optimizer} if adversary else {}),
        },
        seed=seed,
        settings={
            "shape": asdict(shape),
            "units": asdict(unit_spec),
            "batch": batch,
            "segment": segment,
            "learning_rate": learning_rate,
            "adversarial": adversarial,
            "init_from": str(init_from) if init_from else None,
        },
        progress=progress,
    )
    train_durations(
        generator,
        [frame_units[item.id] for item in kept],
        out / "durations",
        steps=steps * 3 // 4 if duration_steps is None else duration_steps,
        seed=seed,
        progress=progress,
    )
    return write_vocoder(generator, shape, unit_spec, out / "vocoder")


def write_vocoder(
    generator: Generator, shape: VocoderShape, unit_spec: UnitSpec, folder: Path
) -> Path:
    """Write config.json, generator.safetensors (float16, official names) and units.json."""
    folder.mkdir(parents=True, exist_ok=True)
    state = official_state(generator.state_dict())
    halves = {name: value.to("cpu", torch.float16) for name, value in state.items()}
    save_file(halves, folder / "generator.safetensors")
    _write_json(folder / "config.json", shape.config())
    _write_json(folder / "units.json", asdict(unit_spec))
    return folder


def take_body(generator: Generator, folder: Path) -> None:
    """Start from another vocoder: everything but the unit embedding and the duration predictor."""
    file = folder / "generator.safetensors"
    if not file.is_file():
        raise CheckpointError(f"no generator.safetensors in {folder}; give a folder written here")
    body = {
        name: value
        for name, value in plain_state(load_file(file)).items()
        if not name.startswith(("dict.", "dur_predictor."))
    }
    try:
        missing, unexpected = generator.load_state_dict(body, strict=False)
    except RuntimeError as error:
        raise TrainingError(f"{folder} has another shape than this vocoder: {error}") from error
    wrong = [name for name in missing if not name.startswith(("dict.", "dur_predictor."))]
    if wrong or unexpected:
        raise TrainingError(
            f"{folder} has another shape than this vocoder: {wrong + list(unexpected)} do not fit"
        )


def _segments(
    chosen: Sequence[Utterance],
    frame_units: FrameUnits,
    segment: int,
    hop: int,
    rng: np.random.Generator,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Units (batch, segment) and their samples (batch, segment * hop) from random places."""
    units = np.empty((len(chosen), segment), np.int64)
    samples = np.empty((len(chosen), segment * hop), np.float32)
    for i, item in enumerate(chosen):
        start = int(rng.integers(_frames(item, frame_units, hop) - segment + 1))
        units[i] = frame_units[item.id][start : start + segment]
        samples[i] = item.read()[start * hop : (start + segment) * hop]
    return units, samples


def _frames(item: Utterance, frame_units: FrameUnits, hop: int) -> int:
    return min(len(frame_units[item.id]), item.length // hop)


def _check(
    speech: Sequence[Utterance],
    frame_units: FrameUnits,
    unit_spec: UnitSpec,
    shape: VocoderShape,
    segment: int,
) -> None:
    if shape.num_embeddings != unit_spec.vocab_size:
        raise TrainingError(
            f"the vocoder has {shape.num_embeddings} embeddings, the codebook "
            f"{unit_spec.vocab_size} units; they must be equal"
        )
    if shape.hop * unit_spec.frame_rate != shape.sample_rate:
        raise TrainingError(
            f"upsample rates multiply to {shape.hop} samples a frame, units at "
            f"{unit_spec.frame_rate:g} Hz need {shape.sample_rate / unit_spec.frame_rate:g}"
        )
    without = [item.id for item in speech if item.id not in frame_units]
    if without:
        raise CorpusError(f"{len(without)} recordings have no units, {without[0]} among them")
    top = max((int(frame_units[item.id].max(initial=0)) for item in speech), default=0)
    if top >= unit_spec.vocab_size:
        raise TrainingError(f"got unit {top}, the codebook ends at {unit_spec.vocab_size - 1}")
    if not any(_frames(item, frame_units, shape.hop) >= segment for item in speech):
        raise CorpusError(f"no recording is as long as a segment of {segment} frames; lower it")


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
