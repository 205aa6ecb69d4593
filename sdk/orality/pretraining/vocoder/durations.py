"""How long a unit vocoder lets each unit last: the loss, and a last stage for this alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from orality.pretraining.loop import Losses, rng_of, run_training, update, warmup_then_linear
from orality.pretraining.vocoder.code_hifigan import Generator
from orality.progress import Progress, silent

BATCH = 32


def run_lengths(frames: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Frame units to (units without repeats, frames each of them lasts)."""
    starts = np.flatnonzero(np.concatenate([[True], frames[1:] != frames[:-1]]))
    return frames[starts], np.diff(np.append(starts, len(frames)))


def duration_loss(
    generator: Generator, sentences: Sequence[NDArray[np.int64]], *, embed: bool = True
) -> torch.Tensor:
    """Poisson deviance of frames + 1 given exp(prediction), mean over the units of whole sentences.

    Its minimum is the mean of frames + 1, so that lengths come out right on average; squared error
    on the logarithm, the original's choice, aims at the geometric mean and speaks too fast.
    `embed`: the unit embedding learns too.
    """
    runs = [run_lengths(frames) for frames in sentences]
    width = max(len(ids) for ids, _ in runs)
    units = torch.zeros(len(runs), width, dtype=torch.long)
    frames = torch.zeros(len(runs), width)
    for i, (ids, lengths) in enumerate(runs):
        units[i, : len(ids)] = torch.from_numpy(ids)
        frames[i, : len(ids)] = torch.from_numpy(lengths)
    where = generator.dict.weight.device
    real, embedded = frames > 0, generator.dict(units.to(where))
    log: torch.Tensor = generator.dur_predictor(embedded if embed else embedded.detach())[
        real.to(where)
    ]
    target = frames[real].to(where) + 1
    deviance: torch.Tensor = torch.exp(log) - target * log + target * target.log() - target
    return deviance.mean()


def train_durations(
    generator: Generator,
    sentences: Sequence[NDArray[np.int64]],
    out: Path,
    *,
    steps: int,
    learning_rate: float = 1.5e-3,
    seed: int = 0,
    progress: Progress = silent,
) -> None:
    """Train the duration predictor on, in place, with everything else as it is.

    Beside the generator it sees few sentences at a time; alone it is cheap, and a quarter of the
    lengths that were still wrong come right. `sentences`: frame units. Continues after a kill.
    """
    predictor = generator.dur_predictor
    optimizer = torch.optim.AdamW(predictor.parameters(), lr=learning_rate)

    def step(index: int) -> Losses:
        chosen = rng_of(seed, index).integers(len(sentences), size=BATCH)
        loss = duration_loss(generator, [sentences[i] for i in chosen], embed=False)
        update(loss, optimizer)
        return {"duration": loss.detach()}

    run_training(
        out=out,
        name="durations",
        state={"predictor": predictor},
        step=step,
        total_steps=steps,
        learning_rate=warmup_then_linear(learning_rate, steps, warmup=50, hold=0.0),
        optimizers={"optimizer": optimizer},
        seed=seed,
        settings={"learning_rate": learning_rate, "batch": BATCH},
        progress=progress,
    )
