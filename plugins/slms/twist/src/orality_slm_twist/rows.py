"""The rows that are written at a time: what each drew and where it stands."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from orality_slm_twist.sampling import Rules


@dataclass(slots=True)
class Rows:
    """State of each row, all on the device. R rows, room for S tokens of their own.

    `column`: how many tokens it has drawn and passed on, (R,). `position`: of the next one in the
    model's eyes. `last`: its last token. `alive`: in use and not ended. `ended`: met EOS. `told`:
    the sum of its log-probabilities. `written`: tokens, -1 behind the last, (R, S). `random`:
    uniform numbers, (R, S). `sees_prompt`, `sees_own`: 0 or -inf for each column. `seen`: tokens
    that a repetition penalty reaches, (R, V), or (R, 0) without one.
    """

    column: Tensor
    position: Tensor
    last: Tensor
    alive: Tensor
    ended: Tensor
    told: Tensor
    written: Tensor
    random: Tensor
    sees_prompt: Tensor
    sees_own: Tensor
    seen: Tensor

    def pick(self, which: Tensor) -> Rows:
        """Only these rows, in this order."""
        return Rows(*(getattr(self, field.name)[which] for field in fields(self)))

    def put(self, which: Tensor, rows: Rows) -> None:
        """Overwrite these rows."""
        for field in fields(self):
            getattr(self, field.name)[which] = getattr(rows, field.name)


def free_rows(
    count: int, *, own: int, prompt: int, dtype: torch.dtype, device: torch.device, seen: int = 0
) -> Rows:
    """Rows that nobody uses. They see their own first column, so that no sum is empty."""

    def zeros(*shape: int, dtype: torch.dtype = torch.int64) -> Tensor:
        return torch.zeros(count, *shape, dtype=dtype, device=device)

    return Rows(
        column=zeros(),
        position=zeros(),
        last=zeros(),
        alive=zeros(dtype=torch.bool),
        ended=zeros(dtype=torch.bool),
        told=zeros(dtype=torch.float64),
        written=zeros(own) - 1,
        random=zeros(own, dtype=torch.float64),
        sees_prompt=zeros(prompt, dtype=dtype) - torch.inf,
        sees_own=zeros(own, dtype=dtype) - torch.inf,
        seen=zeros(seen, dtype=torch.bool),
    )


def draw(rows: Rows, logits: Tensor, rules: Rules) -> None:
    """Draw the next token of every row from logits (R, V)."""
    column = rows.column[:, None]
    uniform = rows.random.gather(1, column)[:, 0]
    seen = rows.seen if rows.seen.shape[1] else None
    tokens, told = rules.choose(logits, uniform, rows.last, seen)
    rows.last = tokens
    if rules.eos is not None:
        stop = tokens == rules.eos
        rows.ended |= stop & rows.alive
        rows.alive &= ~stop
        told, tokens = told.masked_fill(~rows.alive, 0.0), tokens.masked_fill(~rows.alive, -1)
    rows.told += told
    rows.written.scatter_(1, column, tokens[:, None])
    if seen is not None:
        seen.scatter_(1, rows.last[:, None], True)


def advance(rows: Rows, context_length: int) -> None:
    """The step has been made: the next token comes one column and one position later."""
    rows.column.add_(1).clamp_(max=rows.written.shape[1] - 1)  # rows in use end before that
    rows.position.add_(1).clamp_(max=context_length - 1)
