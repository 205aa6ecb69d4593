"""Rating by the probabilities of the digits 1 to 5, right after a forced answer prefix."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import jinja2
import torch

from orality import JudgeRequest, PluginError, Verdict
from orality_judge_likert.digits import DIGITS, digit_tokens
from orality_judge_likert.forward import NotCacheable, Prefix, common, next_token, read_prefix
from orality_judge_likert.frame import break_apart, read_frame
from orality_judge_likert.rubric import compile_rubric
from orality_judge_likert.tokens import QuestionTokens

logger = logging.getLogger(__name__)

LOW_MASS = 0.9  # of the probability; with less on digits, the model hardly meant to rate
_LEAST_SHARED = 16  # tokens; a shorter prefix is not worth keeping
_LANGUAGES = 8  # prefixes kept at a time


class LikertJudge:
    """Scores are expectations over the digits, so inside 1 to 5; see `orality.Judge`.

    `metrics` of a verdict: `digit`, the most probable one, and `digit_mass`, the probability of
    any digit from 1 to 5. One forward pass per request, over the tokens behind the rubric alone:
    what the model makes of the rubric is kept, wherever it keeps keys and values at all.
    `context`: the longest question in tokens; transcripts are cut until theirs fits.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        rubric: str | jinja2.Template,
        system: str = "",
        answer_prefix: str = "Rating: ",
        max_characters: int = 4000,
        batch_tokens: int = 8192,
        context: int | None = None,
    ) -> None:
        self.model, self.tokenizer = model, tokenizer
        self.max_characters, self.batch_tokens, self.context = max_characters, batch_tokens, context
        self.template = compile_rubric(rubric) if isinstance(rubric, str) else rubric
        self._frame = read_frame(tokenizer, answer_prefix=answer_prefix, system=system)
        self._tokens = QuestionTokens(tokenizer, self._frame)
        self.digit_tokens = self._digit_tokens()
        self._prefixes: dict[str, Prefix | None] = {}
        self._cacheable = True
        self._row("", "", "en")  # raises if the rubric alone is too long

    def score(self, requests: Sequence[JudgeRequest]) -> list[Verdict]:
        """Judge each request: an empty continuation gets 1, a missing prompt or continuation none.

        Transcripts are data: no template in them is evaluated, no control token or role tag in
        them ends the user's turn.
        """
        verdicts: dict[int, Verdict] = {}
        rows: dict[str, list[tuple[int, list[int], str]]] = {}
        for index, request in enumerate(requests):
            prompt, continuation = request.prompt_text, request.continuation_text
            if prompt is None or continuation is None:
                which = "prompt" if prompt is None else "continuation"
                verdicts[index] = Verdict(None, rationale=f"there is no {which} text to judge")
            elif not continuation.strip():
                verdicts[index] = Verdict(1.0, rationale="no speech")
            else:
                found = self._row(prompt, continuation, request.language)
                if found is None:
                    verdicts[index] = Verdict(None, rationale="the transcripts cannot be tokenized "
                                              "as text alone")  # fmt: skip
                else:
                    rows.setdefault(request.language, []).append((index, *found))
        for language, members in rows.items():
            ids = [row for _, row, _ in members]
            prefix = self._prefix(language)
            for batch, probabilities in next_token(
                self.model, ids, prefix, budget=self.batch_tokens
            ):
                for number, mass in zip(batch, self._mass(probabilities), strict=True):
                    index, _, note = members[number]
                    verdicts[index] = _verdict(mass, note)
        return [verdicts[index] for index in range(len(requests))]

    def question(self, prompt: str, continuation: str, language: str = "en") -> str:
        """What the model reads, up to the digit it is about to write."""
        text = self._render(prompt, continuation, language, self.max_characters)
        return self._frame.before + text + self._frame.after

    def _render(
        self, prompt: str, continuation: str, language: str, limit: int, *, apart: bool = False
    ) -> str:
        # Of a long prompt the end, which the continuation follows.
        texts = [prompt[-limit:] if limit else "", continuation[:limit], language[:16]]
        for number, text in enumerate(texts):
            text = break_apart(text, self._frame.tags)
            if apart:
                text = break_apart(text, self._frame.control)
            texts[number] = text.encode("utf-8", "replace").decode("utf-8")  # no lone surrogates
        rubric = self.template.render(
            prompt=texts[0], continuation=texts[1], language=texts[2]
        ).strip()
        return self._frame.question_before + rubric

    def _row(self, prompt: str, continuation: str, language: str) -> tuple[list[int], str] | None:
        """Token ids of a question, and what had to be done to them; None if it cannot be safe."""
        limit = self.max_characters
        longest = max(len(prompt), len(continuation))
        while True:
            for apart in (False, True):
                text = self._render(prompt, continuation, language, limit, apart=apart)
                found = self._tokens.before_digit(text)
                if found is not None:
                    break
            if found is None:
                return None
            excess = 0 if self.context is None else len(found[0]) + 1 - self.context
            if excess <= 0:
                note = f"transcripts were cut to {limit} characters" if longest > limit else ""
                return found[0], note
            if limit == 0:
                raise PluginError(
                    f"the rubric alone has {len(found[0])} tokens, the model holds {self.context}"
                )
            # At least one character per token goes; a first guess may cut too little.
            limit = max(0, min(limit, longest) - max(1, (excess + 1) // 2))

    def _prefix(self, language: str) -> Prefix | None:
        """What all questions in a language begin with, read by the model once."""
        if not self._cacheable:
            return None
        if language not in self._prefixes:
            while len(self._prefixes) >= _LANGUAGES:
                del self._prefixes[next(iter(self._prefixes))]
            self._prefixes[language] = self._read_prefix(language)
        return self._prefixes[language]

    def _read_prefix(self, language: str) -> Prefix | None:
        probes = [self._row(*texts, language) for texts in (("a", "I"), ("9 is", "so"))]
        first, second = (probe[0] if probe else [] for probe in probes)
        length = common(first, second)
        if length < _LEAST_SHARED:
            logger.warning(
                "questions share only their first %d tokens, so each is read as a whole: put the "
                "transcripts at the end of the rubric to make judging faster", length,
            )  # fmt: skip
            return None
        try:
            prefix = read_prefix(self.model, first[:length])
        except NotCacheable as error:
            self._cacheable = False
            logger.warning("%s reads every question as a whole: %s",
                           type(self.model).__name__, error)  # fmt: skip
            return None
        difference = self._difference(second, prefix)
        if not difference < (1e-3 if self.model.dtype == torch.float32 else 0.1):
            self._cacheable = False
            logger.warning(
                "%s reads every question as a whole: with the rubric's keys and values kept, a "
                "digit's probability differs by %.2g", type(self.model).__name__, difference,
            )  # fmt: skip
            return None
        return prefix

    def _difference(self, row: list[int], prefix: Prefix) -> float:
        (kept,), (whole,) = (
            [found for _, found in next_token(self.model, [row], given, budget=self.batch_tokens)]
            for given in (prefix, None)
        )
        return float((self._mass(kept) - self._mass(whole)).abs().max())

    def _mass(self, probabilities: torch.Tensor) -> torch.Tensor:
        """The probability of each digit, shape (rows, 5), on the CPU."""
        parts = [probabilities[:, tokens].sum(-1) for tokens in self.digit_tokens]
        return torch.stack(parts, dim=-1).cpu()

    def _digit_tokens(self) -> list[list[int]]:
        probe = self._render("a", "a", "en", self.max_characters)
        found = [self._tokens.before_digit(probe, digit) for digit in DIGITS]
        contexts = {tuple(ids[0]) for ids in found if ids}
        if len(contexts) != 1 or None in found:
            raise PluginError(
                "the model's tokenizer writes the digits from 1 to 5 as different numbers of "
                "tokens behind the answer prefix; choose another one"
            )
        (context,) = contexts
        return digit_tokens(self.tokenizer, context, [ids[1] for ids in found if ids])


def _verdict(mass: torch.Tensor, note: str) -> Verdict:
    total = float(mass.sum())
    if not total > 0.0:  # NaN, too
        return Verdict(None, rationale=f"the digits have the probability {total}")
    expected = float((mass * torch.tensor(DIGITS)).sum()) / total
    notes = [note] if note else []
    if total < LOW_MASS:
        notes.append(f"only {total:.2f} of the probability is on the digits 1 to 5")
    return Verdict(
        score=min(5.0, max(1.0, expected)),
        rationale="; ".join(notes),
        metrics={"digit": float(DIGITS[int(mass.argmax())]), "digit_mass": total},
    )
