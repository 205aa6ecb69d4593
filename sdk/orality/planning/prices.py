"""What a judge behind a server would take, from its price and from what it would be asked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from orality.feedback import Prompts
from orality.judging import encode_transcripts, load_rubric
from orality.specs import JudgeSpec, ServerJudgeConfig, TokenPrice
from orality.store import iterate_records

_ANSWER_TOKENS = 20  # as the judges themselves announce: a score and some JSON
_BYTES_PER_TOKEN = 3


def price_of(spec: JudgeSpec[Any], config: Any) -> TokenPrice | None:
    """US dollars per million tokens of a judge's server, where they are known."""
    return spec.price(config) or getattr(config, "price", None)


def dollars_per_request(
    spec: JudgeSpec[Any], config: Any, run: Path, folder: str
) -> tuple[float | None, str]:
    """Dollars for one continuation, and how they were found; None: nothing is known.

    `folder`: of the judge's verdicts. Tokens are those that verdicts tell, else a third of the
    bytes of what would be asked about the run's transcripts, and twenty of an answer.
    """
    price = price_of(spec, config)
    if price is None:
        return None, "the price is not known"
    used = list(_told_tokens(run, folder))
    if used:
        found, how = used, "tokens told by the server"
    else:
        found = list(_likely_tokens(config, run))
        how = f"not asked: bytes / {_BYTES_PER_TOKEN} and {_ANSWER_TOKENS} tokens of an answer"
    if not found:
        return None, "nothing was transcribed"
    return _mean([(i * price.input + o * price.output) / 1e6 for i, o in found]), how


def _told_tokens(run: Path, folder: str) -> Iterator[tuple[float, float]]:
    for path in sorted(run.glob(f"round-*/{folder}")):
        for row in iterate_records(path, ["metrics"]):
            told = json.loads(row["metrics"])
            if "input_tokens" in told and "output_tokens" in told:
                yield told["input_tokens"], told["output_tokens"]


def _likely_tokens(config: Any, run: Path) -> Iterator[tuple[float, float]]:
    if not isinstance(config, ServerJudgeConfig):
        return
    rubric = load_rubric(config.rubric, answer="")
    prompts = {
        row["id"]: row["prompt_text"] or ""
        for row in Prompts.of(run / "prompts").records(
            "train", "dev", columns=["id", "prompt_text"]
        )
    }
    instructions = len(rubric.render(nonce="0" * 16, language="en").encode())
    for path in sorted(run.glob("round-*/transcripts")):
        for row in iterate_records(path, ["prompt_id", "text"]):
            asked = encode_transcripts(
                prompts[row["prompt_id"]], row["text"], max_characters=config.max_characters
            )
            tokens = (instructions + len(asked.encode())) // _BYTES_PER_TOKEN
            yield float(tokens), float(_ANSWER_TOKENS)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
