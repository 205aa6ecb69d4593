"""Training of the small HuBERT by classification of frames, HuBERT style."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from orality.pretraining.data import Samples, Utterance, length_batches
from orality.pretraining.loop import (
    bfloat16,
    join_processes,
    pick_device,
    process_share,
    rng_of,
    run_training,
    update,
    warmup_then_linear,
)
from orality.pretraining.quantizer.encoder import (
    FrameClassifier,
    Frames,
    frames_of,
    masked_cross_entropy,
    small_config,
    span_mask,
)
from orality.pretraining.quantizer.targets import Targets
from orality.progress import Progress, silent


@dataclass(frozen=True, slots=True)
class EncoderSettings:
    """How the encoder is trained; seconds are of audio.

    `mask_share`: frames hidden from the transformer; `masked_weight`: what a hidden frame counts in
    the loss (a seen one counts 1). HuBERT proper hides half and counts hidden frames only; with
    phones as targets little hiding is best, since seen frames already teach what is wanted.
    """

    width: int = 256
    layers: int = 5
    steps: int = 4000
    batch_seconds: float = 32.0
    longest_seconds: float = 8.0
    learning_rate: float = 1e-3
    mask_share: float = 0.15
    mask_span: int = 4
    masked_weight: float = 0.5
    augment: bool = True
    seed: int = 0


def train_encoder(
    speech: Sequence[Utterance],
    dev: Sequence[Utterance],
    targets: Targets,
    *,
    out: Path,
    settings: EncoderSettings,
    device: str = "auto",
    checkpoint_seconds: float = 120.0,
    progress: Progress = silent,
) -> FrameClassifier:
    """Train (or continue in `out`) and return the model, in evaluation mode.

    `losses.jsonl` in `out` holds the loss, `seen` and `masked` (correct shares of frames in
    training) and `dev` (correct share on up to 100 held-out utterances, nothing masked).
    """
    place = pick_device(device)
    join_processes(place)
    rank, count = process_share()
    torch.manual_seed(settings.seed)
    model = FrameClassifier(
        small_config(width=settings.width, layers=settings.layers), targets.num_classes
    ).to(place)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=settings.learning_rate, betas=(0.9, 0.98), weight_decay=0.01
    )
    frames = frames_of(model.hubert.config)
    longest = int(settings.longest_seconds * 16_000)
    batch_of = length_batches(
        [utterance.length for utterance in speech],
        int(settings.batch_seconds * 16_000),
        seed=settings.seed,
        longest=longest,
    )
    model.train()

    def step(index: int) -> dict[str, float | torch.Tensor]:
        rng = rng_of(settings.seed, 17, index * count + rank)
        chosen = [speech[i] for i in batch_of(index * count + rank)]
        waves, labels = _batch(chosen, targets, frames, rng, longest, settings.augment)
        mask = span_mask(rng, *labels.shape, share=settings.mask_share, span=settings.mask_span)
        hidden, wanted = torch.from_numpy(mask).to(place), torch.from_numpy(labels).to(place)
        with bfloat16(place):
            logits = model(torch.from_numpy(waves).to(place), hidden)
        loss, seen, masked = masked_cross_entropy(logits, wanted, hidden, settings.masked_weight)
        norm = update(loss, optimizer)
        return {"loss": loss.detach(), "seen": seen, "masked": masked, "gradient": norm}

    def evaluate(_: int) -> dict[str, float]:
        model.eval()
        right = total = 0
        with torch.inference_mode(), bfloat16(place):
            for utterance in dev[:100]:
                wave = utterance.read()
                count = frames.count(len(wave))
                if not count:
                    continue
                guess = model(torch.from_numpy(wave).to(place)[None])[0].argmax(-1).cpu().numpy()
                right += int((guess == targets.at(utterance, frames.centers(count))).sum())
                total += count
        model.train()
        return {"dev": right / max(1, total)}

    kept = {k: v for k, v in asdict(settings).items() if k != "steps"}
    run_training(
        out=out,
        name="encoder",
        state={"model": model},
        optimizers={"adamw": optimizer},
        step=step,
        total_steps=settings.steps,
        learning_rate=warmup_then_linear(
            settings.learning_rate, settings.steps, warmup=min(200, settings.steps // 10)
        ),
        seed=settings.seed,
        evaluate=evaluate if dev else None,
        evaluate_every=500,
        checkpoint_seconds=checkpoint_seconds,
        settings={**kept, "classes": targets.num_classes},
        progress=progress,
    )
    return model.eval()


def _batch(
    chosen: Sequence[Utterance],
    targets: Targets,
    frames: Frames,
    rng: np.random.Generator,
    longest: int,
    augment: bool,
) -> tuple[
    np.ndarray[tuple[int, int], np.dtype[np.float32]],
    np.ndarray[tuple[int, int], np.dtype[np.int64]],
]:
    """Waves (batch, samples) and labels (batch, frames), all cropped to the shortest of the batch.

    Cropping instead of padding: no mask reaches the attention, and neighbors are of like length.
    """
    waves = [utterance.read() for utterance in chosen]
    speeds = [
        float(rng.uniform(0.87, 1.18)) if augment and rng.random() < 0.4 else 1.0 for _ in waves
    ]
    shortest = min(math.floor(len(w) / s) for w, s in zip(waves, speeds, strict=True))
    length = max(frames.field, min(shortest, longest))
    count = frames.count(length)
    centers = frames.centers(count)
    rows: list[Samples] = []
    labels = []
    for utterance, wave, speed in zip(chosen, waves, speeds, strict=True):
        spare = len(wave) - math.ceil(length * speed)
        start = int(rng.integers(spare + 1)) if spare > 0 else 0
        labels.append(targets.at(utterance, start + centers * speed))
        rows.append(_cut(wave, start, length, speed, rng, augment))
    return np.stack(rows), np.stack(labels)


def _cut(
    wave: Samples, start: int, length: int, speed: float, rng: np.random.Generator, augment: bool
) -> Samples:
    """`length` samples of the wave from `start`, played at `speed`, in another room's loudness."""
    if speed == 1.0:
        part = wave[start : start + length]
    else:
        # linear interpolation: a voice higher and faster or lower and slower
        part = np.interp(start + np.arange(length) * speed, np.arange(len(wave)), wave)
    row = np.zeros(length, np.float32)
    row[: len(part)] = part
    # a little dither: recordings differ in how silent their silence is
    row += rng.standard_normal(length, dtype=np.float32) * np.float32(1e-4)
    if augment:
        row *= np.float32(math.exp(rng.uniform(math.log(0.3), math.log(2.0))))
        if rng.random() < 0.4:
            level = 10 ** rng.uniform(-4, -1.7) * (0.1 + float(np.abs(row).max()))
            row += rng.standard_normal(length, dtype=np.float32) * np.float32(level)
    return row
