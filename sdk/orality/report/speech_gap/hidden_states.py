"""Speech as a language model sees it: mean hidden states of continuations (SpeechAlign, t-SNE)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from orality.errors import EvaluationError
from orality.protocols import SpeechLM
from orality.report.data.stored_units import Stretch, stretches
from orality.report.speech_gap.representations import Representations
from orality.types import Units


def hidden_state_representations(run: Path, slm: SpeechLM, *, layer: int = -1) -> Representations:
    """Every stored continuation of a run as `slm`'s mean hidden state over it, float64.

    One model sees all systems, each continuation after its prompt, so that vectors compare.
    `layer`: 0 the embeddings, -1 the last. Raises EvaluationError where the run has stored no
    units to compare, or the model gives no hidden states.
    """
    found = stretches(run)
    if not found:
        raise EvaluationError(f"{run} holds no golden and synthetic units of the same prompts")
    return Representations(
        f"mean hidden states, layer {layer}",
        np.stack([_mean_state(slm, stretch, layer) for stretch in found]),
        [stretch.system for stretch in found],
        [stretch.prompt for stretch in found],
    )


@torch.no_grad()
def _mean_state(slm: SpeechLM, stretch: Stretch, layer: int) -> np.ndarray:
    ids = slm.to_input_ids(_units([*stretch.before, *stretch.units]))
    said = len(slm.to_input_ids(_units(stretch.units)))
    device = next(slm.module.parameters()).device
    row = ids[-slm.context_length :][None].to(device)  # (1, length)
    output = slm.module(input_ids=row, output_hidden_states=True)
    states = getattr(output, "hidden_states", None)
    if states is None:
        raise EvaluationError(
            f"{type(slm.module).__name__} gives no hidden states; give representations of your own "
            "to store_representations"
        )
    mean: np.ndarray = states[layer][0, -said:].double().mean(dim=0).cpu().numpy()
    return mean


def _units(ids: Sequence[int]) -> Units:
    return Units.of(ids)
