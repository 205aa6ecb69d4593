"""Rating by the probabilities of the digits 1 to 5, right after a forced answer prefix."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from typing import TYPE_CHECKING, Any

import jinja2
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from orality import CheckpointError, JudgeRequest, PluginError, Verdict, fetch

if TYPE_CHECKING:
    from orality_judge_likert import LikertConfig

DIGITS = (1, 2, 3, 4, 5)


def load_judge(config: LikertConfig) -> LikertJudge:
    """Load model and tokenizer from local files and read the rubric."""
    folder = fetch(config.checkpoint)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model = AutoModelForCausalLM.from_pretrained(
            folder, local_files_only=True, dtype=getattr(torch, config.dtype)
        )
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{folder} holds no language model that can rate: {error}") from error
    device = config.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if config.rubric is None:
        rubric = (resources.files("orality_judge_likert") / "rubric.txt").read_text("utf-8")
    else:
        rubric = config.rubric.read_text("utf-8")
    return LikertJudge(
        model.to(device).eval(),
        tokenizer,
        rubric=rubric,
        answer_prefix=config.answer_prefix,
        max_characters=config.max_characters,
    )


class LikertJudge:
    """Scores are expectations over the digits, so inside 1 to 5."""

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        rubric: str,
        answer_prefix: str = "Rating: ",
        max_characters: int = 4000,
    ) -> None:
        self.model, self.tokenizer = model, tokenizer
        self.answer_prefix, self.max_characters = answer_prefix, max_characters
        self.template = jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(rubric)
        self.digit_tokens = _digit_tokens(tokenizer)

    def score(self, requests: Sequence[JudgeRequest]) -> list[Verdict]:
        """One forward pass per request; an empty continuation gets 1, a missing prompt none."""
        return [self._score(request) for request in requests]

    def question(self, prompt: str, continuation: str) -> str:
        """What the model reads, up to the digit it is about to write."""
        text = self.template.render(
            prompt=prompt[: self.max_characters], continuation=continuation[: self.max_characters]
        )
        if getattr(self.tokenizer, "chat_template", None):
            chat = [{"role": "user", "content": text}]
            text = self.tokenizer.apply_chat_template(
                chat, tokenize=False, add_generation_prompt=True
            )
        return str(text) + self.answer_prefix

    @torch.no_grad()
    def _score(self, request: JudgeRequest) -> Verdict:
        if request.prompt_text is None:
            return Verdict(score=None, rationale="there is no prompt text to judge against")
        if not (request.continuation_text or "").strip():
            return Verdict(score=1.0, rationale="no speech")
        question = self.question(request.prompt_text, request.continuation_text or "")
        ids = self.tokenizer(question, return_tensors="pt", add_special_tokens=False).input_ids
        logits = self.model(input_ids=ids.to(self.model.device)).logits[0, -1]  # (vocabulary,)
        probabilities = logits.float().softmax(-1)
        mass = torch.stack([probabilities[tokens].sum() for tokens in self.digit_tokens])
        total = float(mass.sum())
        if total == 0.0:
            return Verdict(score=None, rationale="the model gives no digit any probability")
        expected = float((mass / mass.sum() * torch.tensor(DIGITS, device=mass.device)).sum())
        return Verdict(
            score=min(5.0, max(1.0, expected)),
            metrics={"digit": float(DIGITS[int(mass.argmax())]), "digit_mass": total},
        )


def _digit_tokens(tokenizer: Any) -> list[torch.Tensor]:
    """For each digit, every token that writes it alone, with or without a space before it."""
    found: list[list[int]] = [[] for _ in DIGITS]
    for token in range(len(tokenizer)):
        text = tokenizer.decode([token]).strip()
        if text in {str(digit) for digit in DIGITS}:
            found[int(text) - 1].append(token)
    if not all(found):
        raise PluginError("the model's tokenizer cannot write every digit from 1 to 5 as one token")
    return [torch.tensor(tokens) for tokens in found]
