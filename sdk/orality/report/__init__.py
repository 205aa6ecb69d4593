"""What a run leaves for people: tables, figures, and one page that one can listen to."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orality.protocols import SpeechLM

__all__ = ["describe_rounds", "store_hidden_states", "write_report"]


def describe_rounds(run: Path, *, examples: int = 3) -> str:
    """Markdown on what each round of a run holds so far: scores, repetition, yields, examples.

    Raises StoreError where nothing is judged yet, or the folder holds no run.
    """
    from orality.report.inspection import describe_rounds as describe

    return describe(Path(run), examples=examples)


def write_report(run: Path, *, max_prompts: int = 40, audio_megabytes: float = 24.0) -> Path:
    """Write `run`/report.html, the tables and `run`/figures, and return the page's path.

    Nothing is computed anew and no model is loaded: all of it comes from what the run has stored.
    The page is one file that needs nothing else. `max_prompts` bounds the prompts that can be
    listened to, of training and of evaluation each, `audio_megabytes` the speech in the page; what
    is left out is said there. A run that has not finished gets what there is. Raises StoreError
    when the folder holds no run or a damaged shard, EvaluationError when `results.json` cannot be
    read.
    """
    from orality.report.everything import write_everything
    from orality.store.locks import lock_if_free

    run = Path(run)
    # A run that is under way may be reported on; without one, what a kill has left goes.
    with lock_if_free(run) if (run / "manifest.json").is_file() else nullcontext():
        return write_everything(run, max_prompts=max_prompts, audio_megabytes=audio_megabytes)


def store_hidden_states(run: Path, slm: SpeechLM, *, layer: int = -1) -> Path:
    """Let a report compare golden and synthetic speech by a model's mean hidden states.

    Without them it compares counts of units. `layer`: 0 the embeddings, -1 the last. Returns the
    file that was written. Raises EvaluationError where the run has stored no units to compare or
    the model gives no hidden states.
    """
    from orality.report.speech_gap.hidden_states import hidden_state_representations
    from orality.report.speech_gap.representations import store_representations

    found = hidden_state_representations(Path(run), slm, layer=layer)
    return store_representations(Path(run), found)
