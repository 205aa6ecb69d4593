"""Both members of a pair in one packed row: what they begin with in common is computed once.

Rows come from `training.rows.packing`, attention from `training.attention`; nothing is padded. A
pair's scores do not depend on its row beyond rounding, and members with the same units get the same
score to the last bit, so that a tie is a tie.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from orality.errors import EvaluationError, TrainingError
from orality.protocols import SpeechLM, SupportsScoredIds
from orality.types import Units

if TYPE_CHECKING:
    from torch import Tensor

logger = logging.getLogger(__name__)

Pair = tuple[Units, Units]
ScorePairs = Callable[[Sequence[Pair]], list[tuple[float, float]]]
"""Log-likelihoods in nats of both members of each pair, in order."""

MAX_TOKENS = 2048
"""Of a row: more would leave the caches of a CPU, fewer would not fill its matrix products."""

_TOLERANCE = {"float64": 1e-6, "float32": 1e-4}  # of a sum in nats; 2e-2 in half precision


def packed_tokens(pair: Pair) -> int:
    """The places that a pair takes in a row, special tokens aside."""
    size = min(len(pair[0]), len(pair[1]))
    same = pair[0].ids[:size] == pair[1].ids[:size]
    if same.ndim > 1:
        same = same.all(axis=1)
    shared = size if same.all() else int(same.argmin())
    return len(pair[0]) + len(pair[1]) - shared


def log_likelihoods(
    slm: SpeechLM,
    pairs: Sequence[Pair],
    *,
    convention: str = "no_bos",
    max_tokens: int = MAX_TOKENS,
) -> list[tuple[float, float]]:
    """Log-likelihoods in nats of both members of each pair, in order: sums over predicted tokens.

    `convention` as in `SpeechLM.log_likelihood`. Rows hold at most `max_tokens` tokens, or one
    pair. Raises EvaluationError for recordings of which nothing is predicted.
    """
    found: dict[int, tuple[float, float]] = {}
    least = 2 if convention == "no_bos" else 1
    for pair in pairs:
        if min(len(pair[0]), len(pair[1])) < least:
            raise EvaluationError(f"a recording needs {least} units or more for {convention!r}")
    order = sorted(range(len(pairs)), key=lambda index: packed_tokens(pairs[index]))
    probe = [pairs[order[place]] for place in {0, len(order) // 2}] if order else []
    with packed_scoring(slm, convention, probe) as score:
        sizes = [packed_tokens(pairs[index]) for index in order]
        for start, end in in_rows(sizes, max_tokens):
            row = order[start:end]
            found |= dict(zip(row, score([pairs[index] for index in row]), strict=True))
    return [found[index] for index in range(len(pairs))]


def in_rows(sizes: Sequence[int], max_tokens: int) -> Iterator[tuple[int, int]]:
    """Ranges of consecutive sizes that fill rows of at most `max_tokens`; one is never empty."""
    start, room = 0, max_tokens
    for index, size in enumerate(sizes):
        if size > room and index > start:
            yield start, index
            start, room = index, max_tokens
        room -= size
    if start < len(sizes):
        yield start, len(sizes)


@contextmanager
def packed_scoring(slm: SpeechLM, convention: str, probe: Sequence[Pair]) -> Iterator[ScorePairs]:
    """A function that scores pairs in one packed row, where the model can read one.

    A model that cannot (no transformers model, several codebooks, attention of its own), or whose
    own `log_likelihood` says something else about the pairs in `probe`, is asked for that instead.
    """

    def plain(pairs: Sequence[Pair]) -> list[tuple[float, float]]:
        members = [units for pair in pairs for units in pair]
        totals = slm.log_likelihood(members, convention=convention) if members else []
        if len(totals) != len(members):
            raise EvaluationError(
                f"the model gave {len(totals)} log-likelihoods for {len(members)} recordings"
            )
        return list(zip(totals[::2], totals[1::2], strict=True))

    if not _heeds_packing(slm, convention, probe, plain):
        yield plain
        return
    with _packed(slm, convention) as packed:
        assert packed is not None
        yield packed


def _heeds_packing(
    slm: SpeechLM, convention: str, probe: Sequence[Pair], plain: ScorePairs
) -> bool:
    try:
        with _packed(slm, convention) as packed:
            if packed is None:
                return False
            found = packed(probe)
    except TrainingError as error:  # attention that the engine cannot honor
        logger.info("pairs are scored one member at a time: %s", error)
        return False
    dtype = str(next(slm.module.parameters()).dtype).removeprefix("torch.")
    limit = _TOLERANCE.get(dtype, 2e-2)
    # Outside of the context, where the model attends as it always does.
    if np.allclose(found, plain(probe), rtol=limit, atol=limit):
        return True
    logger.warning(
        "packed rows and %s's own log_likelihood disagree; pairs are scored one member at a time",
        type(slm).__name__,
    )
    return False


@contextmanager
def _packed(slm: SpeechLM, convention: str) -> Iterator[ScorePairs | None]:
    module: Any = getattr(slm, "module", None)
    to_ids = _to_ids(slm, convention)
    if module is None or to_ids is None or slm.unit_spec.num_codebooks != 1:
        yield None
        return
    from orality.evaluation.likelihood.pair_rows import score_pairs_in_row
    from orality.models.cpu_linears import prepacked_linears
    from orality.training.attention import packed_attention

    on_cpu = next(module.parameters()).device.type == "cpu"
    training = module.training
    module.eval()
    try:
        # On CPUs `auto` takes one branch at a time, which costs more than short words do.
        name = "sdpa" if on_cpu else "auto"
        with packed_attention(module, name) as backend, prepacked_linears(module):
            if backend is None:
                yield None
            else:
                yield lambda pairs: score_pairs_in_row(
                    module, [(to_ids(a), to_ids(b)) for a, b in pairs], backend
                )
    finally:
        module.train(training)


def _to_ids(slm: SpeechLM, convention: str) -> Callable[[Units], Tensor] | None:
    if isinstance(slm, SupportsScoredIds):
        return lambda units: slm.scored_ids(units, convention=convention).cpu()
    if convention == "no_bos":
        return lambda units: slm.to_input_ids(units).cpu()
    return None  # what stands for BOS and EOS, the contract does not say
