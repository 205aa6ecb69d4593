"""Files for ZeroSpeech's own evaluator (`zrc`, sLM21): a score for every recording."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Literal, get_args

import yaml

from orality.errors import EvaluationError
from orality.evaluation.likelihood.accuracy import PairOutcome
from orality.store.files import atomic_write

Task = Literal["lexical", "syntactic"]
Split = Literal["dev", "test"]
# What the evaluator asks for; the rest of `meta.yaml` may be left out.
_MODEL = ("system_description", "train_set")
_PUBLICATION = ("authors", "institution")


def recording_scores(results: Sequence[PairOutcome]) -> dict[str, float]:
    """Scores by file stem, both members of every pair.

    Raises EvaluationError for a pair that was not scored, as a submission needs every recording,
    and for a recording with two scores.
    """
    scores: dict[str, float] = {}
    for result in results:
        sides = ((result.pair.positive, result.positive), (result.pair.negative, result.negative))
        for path, score in sides:
            if score is None:
                raise EvaluationError(
                    f"{path} has no score, which a submission needs of every recording: "
                    f"{result.error}"
                )
            if scores.setdefault(path.stem, score) != score:
                raise EvaluationError(f"{path} has two scores, {scores[path.stem]} and {score}")
    return scores


def write_scores(folder: str | Path, task: Task, split: Split, scores: Mapping[str, float]) -> Path:
    """Write `<task>/<split>.txt`: a line `<stem> <score>` for each recording, in order of name.

    Names lose a suffix `.wav`. Raises EvaluationError for an unknown task or split, a name with
    white space, or a score that is not a finite number (the evaluator reads none).
    """
    if task not in get_args(Task) or split not in get_args(Split):
        raise EvaluationError(
            f"sLM21 has no {task}/{split}; wanted lexical or syntactic, dev or test"
        )
    lines: dict[str, str] = {}
    for name, score in scores.items():
        stem = name.removesuffix(".wav")
        if not stem or stem.split() != [stem] or "/" in stem:
            raise EvaluationError(f"{name!r} is no recording's name")
        if stem in lines:
            raise EvaluationError(f"{stem} is given twice, with and without its suffix")
        if not math.isfinite(score):
            raise EvaluationError(f"{stem} has the score {score}, wanted a finite number")
        lines[stem] = f"{stem} {float(score)!r}\n"
    if not lines:
        raise EvaluationError("a submission needs scores")
    path = Path(folder) / task / f"{split}.txt"
    _write(path, "".join(lines[stem] for stem in sorted(lines)))
    return path


def write_submission(
    folder: str | Path,
    scores: Mapping[tuple[Task, Split], Mapping[str, float]],
    *,
    model: Mapping[str, Any],
    publication: Mapping[str, Any],
    open_source: bool = True,
    code_url: str | None = None,
) -> Path:
    """Write a submission: `lexical/` and `syntactic/` scores, `meta.yaml` and `params.yaml`.

    `model`: system_description, train_set, and optionally model_id, gpu_budget, parameters.
    `publication`: authors, institution, and optionally author_label, paper_title, paper_url,
    publication_year, team, bib_reference, DOI. The semantic task, which is not about likelihoods,
    is left out. Raises EvaluationError where a description is missing.
    """
    missing = [
        f"{section}.{name}"
        for section, given, wanted in (
            ("model", model, _MODEL),
            ("publication", publication, _PUBLICATION),
        )
        for name in wanted
        if not given.get(name)
    ]
    if missing:
        raise EvaluationError(f"meta.yaml needs {', '.join(missing)}")
    out = Path(folder)
    for (task, split), found in scores.items():
        write_scores(out, task, split, found)
    meta: dict[str, Any] = {
        "model_info": {"gpu_budget": None, "parameters": {}, **model},
        "publication": {
            "author_label": "",
            "paper_title": None,
            "paper_url": None,
            "publication_year": datetime.now(UTC).year,
            "team": None,
            "bib_reference": None,
            "DOI": None,
            **publication,
        },
        "open_source": open_source,
        "code_url": code_url,
    }
    params = {
        "quiet": False,
        "semantic": {
            "metric": "euclidean",
            "pooling": "mean",
            "synthetic": True,
            "librispeech": True,
            "n_jobs": 1,
        },
    }
    _write(out / "meta.yaml", yaml.safe_dump(meta, sort_keys=False, allow_unicode=True))
    _write(out / "params.yaml", yaml.safe_dump(params, sort_keys=False))
    return out


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, partial(_put, data=text.encode()))


def _put(file: BinaryIO, *, data: bytes) -> None:
    file.write(data)
