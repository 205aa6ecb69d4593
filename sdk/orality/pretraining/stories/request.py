"""What a corpus of stories is asked to hold, and the card that says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from orality.pretraining.stories.package import Format

SENTENCES = 3


@dataclass(frozen=True, slots=True)
class Request:
    """What a folder holds: prompts by split, test pairs by kind, and how they are chosen.

    `seconds`: shortest and longest prompt. `longest`: words of a StoryCloze story, at most.
    `kbits`: kilobits a second of recordings in the format `ogg`; `flac` is lossless and written
    fifty times as fast. `transcripts`: text files beside the StoryCloze recordings.
    """

    prompts: Mapping[str, int]
    pairs: Mapping[str, int]
    seed: int = 0
    seconds: tuple[float, float] = (7.0, 11.5)
    longest: int | None = None
    format: Format = "flac"
    kbits: float = 12.0
    transcripts: bool = True


def card(request: Request) -> str:
    """The text of the folder's README: what is in it and where it comes from."""
    prompts, pairs = request.prompts, request.pairs
    spoken = ", ".join(f"{count} {name}" for name, count in prompts.items() if count)
    lines = [
        "# Spoken stories",
        "",
        f"{sum(prompts.values())} synthetic stories of {SENTENCES} sentences ({spoken}), "
        f"{request.seconds[0]:g} to {request.seconds[1]:g} s each, with word times, as made by "
        f"`orality stories` with seed {request.seed}. {_sound(request)}. "
        "Use it as `corpus.path` of a recipe.",
        "",
        "Train stories are composed of sentences of the training split: the `tiny` checkpoints may "
        "have heard some of them. Dev and test stories are composed of held-out sentences, none of "
        "which is in any training text; a hash of each sentence decides. No two stories of a split "
        "open with the same sentence; later sentences may be shared.",
    ]
    if any(pairs.values()):
        names = ", ".join(f"{pairs[k]} {n}" for k, n in _BENCHMARKS.items() if pairs.get(k))
        lines += [
            "",
            f"`benchmarks/` holds pairs of held-out sentences in the official layouts: {names}. "
            "Name the folders under a recipe's `evaluation.benchmarks`.",
        ]
    lines += [
        "",
        "The text is ours, Apache-2.0. The voice is `heart` of hibari-tts 0.2.1 (Apache-2.0), a "
        "model distilled from Kokoro-82M (Apache-2.0).",
    ]
    return "\n".join(lines) + "\n"


def _sound(request: Request) -> str:
    if request.format == "flac":
        return "FLAC, 16 kHz mono"
    return f"Ogg Opus, 16 kHz mono, about {request.kbits:g} kbit/s"


_BENCHMARKS: Mapping[str, str] = {
    "word": "sWUGGY", "grammar": "sBLIMP", "topic": "T-StoryCloze", "story": "S-StoryCloze",
}  # fmt: skip
