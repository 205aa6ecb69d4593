"""The judge: how much likelier a text model finds a continuation once it has read the prompt."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch

from orality import CheckpointError, JudgeRequest, Verdict, fetch
from orality.checkpoints import check_loaded
from orality.models.cpu_linears import has_bfloat16, prepack
from orality.text.joint_text import joint_ids
from orality.text.scripts import tokens
from orality_judge_likelihood import SCALE, SHIPPED, LikelihoodConfig, calibration, scoring
from orality_judge_likelihood.checkpoint import SMOLLM2
from orality_judge_likelihood.text import normalize, repeated_share

logger = logging.getLogger(__name__)

_PROMPT_TOKENS, _CONTINUATION_TOKENS = 512, 256
_CONTINUATIONS_PER_ROW = 8


class LikelihoodJudge:
    """Scores continuations by calibrated log-likelihoods; see `orality.Judge`.

    What lies above the lowest score shrinks with the share of repeated trigrams (echoes of the
    prompt, loops), and with every word that is missing to `min_words`: both look likely to a
    language model and say nothing.

    `metrics` of a verdict: `conditional_nll` and `unconditional_nll` (mean per token, nats),
    `tokens`, `perplexity` = exp(conditional_nll), `raw`, the value before calibration,
    `repeated`, the share, and `bits`, of the numbers it computes with: verdicts of 16 and of 32
    differ by some 0.02.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        calibrated: calibration.Calibration,
        *,
        min_words: int = 4,
        batch_tokens: int = 1024,
    ) -> None:
        self._model = model
        self._bits = float(torch.finfo(model.dtype).bits)
        self._tokenizer = tokenizer
        self._calibrated = calibrated
        self._min_words = min_words
        self._batch_tokens = batch_tokens
        start = tokenizer.bos_token_id
        self._start = tokenizer.eos_token_id if start is None else start

    def score(self, requests: Sequence[JudgeRequest]) -> list[Verdict]:
        """Judge each request: silence gets the lowest score, a missing text none."""
        verdicts: dict[int, Verdict] = {}
        for index, found in self._likelihoods(requests, verdicts):
            verdicts[index] = self._verdict(requests[index], found)
        return [verdicts[index] for index in range(len(requests))]

    def likelihoods(self, pairs: Sequence[tuple[str, str]]) -> list[scoring.Likelihood | None]:
        """Of (prompt, continuation) texts; None where either holds no word."""
        requests = [JudgeRequest(prompt_text=p, continuation_text=c) for p, c in pairs]
        found = dict(self._likelihoods(requests, {}))
        return [found.get(index) for index in range(len(pairs))]

    def _likelihoods(
        self, requests: Sequence[JudgeRequest], verdicts: dict[int, Verdict]
    ) -> Iterator[tuple[int, scoring.Likelihood]]:
        """Requests by number with their likelihoods; those that need none go to `verdicts`."""
        # By prompt and tokens: equal texts are read once, and score equally.
        groups: dict[tuple[int, ...], dict[tuple[int, ...], list[int]]] = {}
        for index, request in enumerate(requests):
            prompt = normalize(request.prompt_text or "")
            continuation = normalize(request.continuation_text or "")
            if request.continuation_text is None or not prompt:
                which = "prompt" if request.continuation_text is not None else "continuation"
                verdicts[index] = Verdict(None, rationale=f"no {which} text")
            elif not continuation:
                verdicts[index] = calibration.no_speech()
            else:
                # As they stand in one text, so both copies of it start inside a sentence.
                before, own = joint_ids(self._tokenizer, prompt, continuation)
                members = groups.setdefault(tuple(before[-_PROMPT_TOKENS:]), {})
                members.setdefault(tuple(own[:_CONTINUATION_TOKENS]), []).append(index)
        rows, owners = [], []
        for known, members in groups.items():
            prefix = [self._start, *known]
            distinct = list(members.items())
            for start in range(0, len(distinct), _CONTINUATIONS_PER_ROW):
                part = distinct[start : start + _CONTINUATIONS_PER_ROW]
                rows.append(scoring.pack(prefix, [tokens for tokens, _ in part]))
                owners.append([indices for _, indices in part])
        for batch in scoring.batches(rows, self._batch_tokens):
            scored = scoring.score(self._model, [rows[number] for number in batch])
            for number, found in zip(batch, scored, strict=True):
                for indices, likelihood in zip(owners[number], found, strict=True):
                    yield from ((index, likelihood) for index in indices)

    def _verdict(self, request: JudgeRequest, found: scoring.Likelihood) -> Verdict:
        conditional = found.conditional / found.tokens
        unconditional = found.unconditional / found.tokens
        raw = self._calibrated.raw(conditional, unconditional)
        continuation = normalize(request.continuation_text or "")
        repeated = repeated_share(normalize(request.prompt_text or ""), continuation)
        enough = min(1.0, len(tokens(continuation)) / max(self._min_words, 1))
        lowest = SCALE[0]
        return Verdict(
            lowest + (self._calibrated.score(raw) - lowest) * (1.0 - repeated) * enough,
            metrics={
                "conditional_nll": -conditional,
                "unconditional_nll": -unconditional,
                "raw": raw,
                "repeated": repeated,
                "bits": self._bits,
            },
            perplexity=math.exp(min(-conditional, 700.0)),
            tokens=float(found.tokens),
        )


def load(config: LikelihoodConfig) -> LikelihoodJudge:
    """Read the text model and the calibration; CheckpointError says which one is at fault."""
    if config.calibration:
        calibrated = calibration.read(Path(config.calibration).expanduser())
    elif config.checkpoint == SHIPPED:
        shipped = files("orality_judge_likelihood") / f"calibrations/{SHIPPED}.json"
        calibrated = calibration.read(Path(str(shipped)))
    else:
        raise CheckpointError(
            f"the judge has no calibration for {config.checkpoint!r}: make one with "
            "python -m orality_judge_likelihood.calibrate and name it as `calibration`"
        )
    model, tokenizer = read_model(config)
    return LikelihoodJudge(
        model, tokenizer, calibrated, min_words=config.min_words, batch_tokens=config.batch_tokens
    )


def read_model(config: LikelihoodConfig) -> tuple[Any, Any]:
    """The text model on its device and its tokenizer."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = fetch(SMOLLM2 if config.checkpoint == SHIPPED else config.checkpoint)
    device = config.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = config.dtype
    if dtype == "auto":
        dtype = "bfloat16" if has_bfloat16(device) else "float32"
        logger.info("judge 'likelihood' computes in %s on %s (dtype auto)", dtype, device)
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
        model, report = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=getattr(torch, dtype),
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
        )
    except Exception as error:
        raise CheckpointError(
            f"{folder} cannot be read as a causal language model with its tokenizer: {error}"
        ) from error
    check_loaded(folder, report)
    model = model.eval().requires_grad_(False).to(device)
    prepack(model)
    scoring.check(model)
    return model, tokenizer
