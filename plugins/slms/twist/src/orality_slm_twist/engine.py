"""Continuous batching: many prompts through a fixed number of rows."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from orality_slm_twist.decoder import Decoder, forward
from orality_slm_twist.jobs import Drawn, Job, Piece
from orality_slm_twist.prefill import read_prompts
from orality_slm_twist.rows import Rows, advance, draw, free_rows
from orality_slm_twist.sampling import Rules, uniforms
from orality_slm_twist.seats import Numbers, Seats
from orality_slm_twist.shared import SharedCache, View

Step = Callable[[SharedCache, View, Tensor, Tensor], Tensor]
"""The cache, what is seen, the rows' last tokens and positions, both (R,), to logits (R, V)."""

_CROWDED = 0.75
"""With no prompt left for them, free rows are taken out of the cache, which is copied then, once
the rest is at most this share: one by one, the copies would take longer than the rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """How much is held at a time: `homes` of `samples` rows each, with room for `own` tokens, and
    `slots` prompts of up to `prompt` tokens. Widths are rounded up to multiples of `stride`.

    `reads`: how many tokens of prompts are read at a time. `patience`: steps between two looks at
    which rows have ended, for a device that would have to wait. `grows`: room for own tokens is
    taken as it is needed. `context`: the model's.
    """

    homes: int
    samples: int
    own: int
    slots: int
    prompt: int
    stride: int
    reads: int
    patience: int
    grows: bool
    context: int


def room_for(
    decoder: Decoder,
    jobs: Sequence[Job],
    num_samples: int,
    *,
    rows: int,
    cache_bytes: float,
    context_length: int,
) -> Room:
    """Room for `rows` rows, or for as many as `cache_bytes` hold; never less than one."""
    on_cpu = decoder.device.type == "cpu"
    stride = 16 if on_cpu else 64
    own = _round_up(max(job.limit for job in jobs), stride, context_length)
    prompt = _round_up(max(len(job.tokens) for job in jobs), stride, context_length)
    tokens = int(cache_bytes / decoder.bytes_per_token)
    samples = max(1, min(num_samples, rows, (tokens - 2 * prompt) // own))
    pieces = len(jobs) * -(-num_samples // samples)
    fitting = min(rows // samples, tokens // (samples * own + 2 * prompt))
    homes = max(1, min(fitting, pieces))
    return Room(
        homes=homes, samples=samples, own=own, prompt=prompt, stride=stride,
        # A prompt keeps its slot until its last row has ended, the rows of others do not wait.
        slots=homes if pieces <= homes else 2 * homes, reads=1024 if on_cpu else 16_384,
        patience=1 if on_cpu else 8, grows=on_cpu, context=context_length,
    )  # fmt: skip


def write(
    decoder: Decoder, pieces: Sequence[Piece], rules: Rules, room: Room, step: Step
) -> dict[tuple[int, int], Drawn]:
    """Every sample of every piece, by (job's index, sample's number)."""
    batch = _Batch(decoder, rules, room)
    waiting = deque(pieces)
    while True:
        batch.fill(waiting)
        if not len(batch.seats.taken):
            return batch.found
        if not waiting:
            batch.close_ranks()
        batch.step(step)


class _Batch:
    """Rows, their cache, and who sits where."""

    def __init__(self, decoder: Decoder, rules: Rules, room: Room) -> None:
        self._decoder, self._rules, self._room = decoder, rules, room
        self._cache = SharedCache(
            decoder, prompts=room.slots, prompt_room=room.prompt, homes=room.homes,
            samples=room.samples, own_room=min(room.stride, room.own) if room.grows else room.own,
            own_most=room.own,
        )  # fmt: skip
        self.seats = Seats(room.homes, room.samples, room.slots)
        self.found: dict[tuple[int, int], Drawn] = {}
        self._rows = self._free(room.homes * room.samples)
        self._begins = self._cache.places()
        self._grid: tuple[int, Tensor | None, Tensor | None] = (room.homes, None, None)
        self._steps = 0

    def fill(self, waiting: deque[Piece]) -> None:
        """Seat pieces while there is room, until none of them ends with its first token."""
        while waiting:
            seated: list[tuple[Piece, Numbers, int]] = []
            for rows, slot in self.seats.offers():
                if not waiting or self._reads_enough(seated, waiting[0]):
                    break
                piece = waiting.popleft()
                seated.append((piece, rows[: piece.count], slot))
            if not seated:
                break
            self._seat(seated)
        self._regrid()

    def _reads_enough(self, seated: list[tuple[Piece, Numbers, int]], piece: Piece) -> bool:
        longest = max([len(piece.job.tokens), *(len(one.job.tokens) for one, _, _ in seated)])
        return bool(seated) and (len(seated) + 1) * longest > self._room.reads

    def _seat(self, seated: list[tuple[Piece, Numbers, int]]) -> None:
        pieces = [piece for piece, _, _ in seated]
        for piece, rows, slot in seated:
            self.seats.sit(piece, rows, slot, self._steps)
        logits = read_prompts(
            self._decoder, self._cache, [piece.job.tokens for piece in pieces],
            [slot for _, _, slot in seated], stride=self._room.stride,
        )  # fmt: skip
        counts = torch.tensor([piece.count for piece in pieces])
        fresh = self._fresh(pieces, counts)
        draw(fresh, logits.repeat_interleave(counts.to(logits.device), 0), self._rules)
        rows = np.concatenate([rows for _, rows, _ in seated])
        self._rows.put(torch.from_numpy(rows).to(logits.device), fresh)
        self._let_go(looking=True)

    def _fresh(self, pieces: list[Piece], counts: Tensor) -> Rows:
        """The pieces' rows before their first draw."""
        fresh, room = self._free(int(counts.sum())), self._room
        lengths = torch.tensor([len(piece.job.tokens) for piece in pieces])
        last = torch.stack([piece.job.tokens[-1] for piece in pieces])
        columns = torch.arange(room.prompt)
        hidden = (columns >= lengths[:, None]).repeat_interleave(counts, 0).to(self._decoder.device)
        fresh.sees_prompt = torch.zeros_like(fresh.sees_prompt).masked_fill_(hidden, -torch.inf)
        fresh.position = lengths.repeat_interleave(counts).to(self._decoder.device)
        fresh.last = last.repeat_interleave(counts).to(self._decoder.device)
        fresh.alive.fill_(True)
        numbers = [uniforms(p.job.seed, p.count, room.own, first=p.first) for p in pieces]
        fresh.random = torch.cat(numbers).to(self._decoder.device)
        if fresh.seen.shape[1]:
            owner = torch.arange(len(pieces)).repeat_interleave(counts).tolist()
            for row, piece in enumerate(owner):
                fresh.seen[row, pieces[piece].job.tokens.to(fresh.seen.device)] = True
        return fresh

    def step(self, step: Step) -> None:
        """One more token for every row."""
        rows = self._rows
        rows.sees_own.scatter_(1, rows.column[:, None], 0.0)
        logits = step(self._cache, self._view(), rows.last, rows.position)
        advance(rows, self._room.context)
        self._steps += 1
        draw(rows, logits, self._rules)
        self._let_go(looking=self._steps % self._room.patience == 0)

    def _view(self) -> View:
        seats, room = self.seats, self._room
        taken = seats.taken
        written = int(self._steps - seats.start[taken].min()) + 1
        own = _round_up(written, room.stride, room.own)
        if own > self._cache.own_room:
            self._cache.grow(own)
            self._begins = self._cache.places()
        prompt = _round_up(int(seats.behind[taken].max()), room.stride, room.prompt)
        rows = self._rows
        mask = torch.cat((rows.sees_prompt[:, :prompt], rows.sees_own[:, :own]), 1)
        # A free row may have gone on for longer than rows in use need room for.
        column = rows.column.clamp(max=self._cache.own_room - 1)
        places = (self._begins + column[:, None, None]).view(-1)
        return View(prompt, own, mask, places, *self._grid)

    def _let_go(self, *, looking: bool) -> None:
        """Take what ended, or reached its limit, off its rows. `looking`: ask the device."""
        done = self.seats.due(self._steps)
        if looking and self._rules.eos is not None:
            alive = self._rows.alive.cpu().numpy()
            taken = self.seats.taken
            done = np.union1d(done, taken[~alive[taken]])
        if not len(done):
            return
        ended = self._rows.pick(torch.from_numpy(done).to(self._decoder.device))
        parts = zip(
            done.tolist(), ended.written.cpu(), ended.told.tolist(), ended.ended.tolist(),
            strict=True,
        )  # fmt: skip
        for row, written, told, end in parts:
            piece = self.seats.piece(row)
            count = min(self._steps - int(self.seats.start[row]) + 1, piece.job.limit)
            tokens = written[:count]
            key = (piece.job.index, piece.first + int(self.seats.number[row]))
            self.found[key] = Drawn(tokens[tokens >= 0], told, end)
        self.seats.leave(done)

    def close_ranks(self) -> None:
        """Give up rows that nobody will use any more."""
        taken, samples = len(self.seats.taken), self._room.samples
        homes = -(-taken // samples)
        if homes > _CROWDED * self._cache.homes:
            return
        kept = torch.from_numpy(self.seats.shrink(homes)).to(self._decoder.device)
        self._rows = self._rows.pick(kept)
        self._cache.shrink(kept, homes)
        self._begins = self._cache.places()
        self._regrid()

    def _regrid(self) -> None:
        grid = self.seats.grid()
        self._grid = (self._cache.homes, None, None)
        if grid is not None:
            device, samples = self._decoder.device, self._room.samples
            slots = torch.from_numpy(np.maximum(self.seats.slot, 0)).to(device)
            numbers = torch.from_numpy(self.seats.number).to(device)
            rows = torch.from_numpy(grid).to(device).view(-1)
            place = self._cache.blocks(slots * samples + numbers)
            to_grid = self._cache.ordered(self._cache.blocks(rows))
            self._grid = (len(grid), to_grid, self._cache.ordered(place))

    def _free(self, count: int) -> Rows:
        penalty = self._rules.sampling.repetition_penalty != 1.0
        return free_rows(
            count, own=self._room.own, prompt=self._room.prompt, dtype=self._decoder.dtype,
            device=self._decoder.device, seen=len(self._rules.forbidden) if penalty else 0,
        )  # fmt: skip


def eager(decoder: Decoder) -> Step:
    """The step as it is, kernel by kernel."""

    def step(cache: SharedCache, view: View, last: Tensor, positions: Tensor) -> Tensor:
        return forward(
            decoder, last, positions,
            lambda layer, queries, both: cache.attend(layer, queries, both, view),
        )  # fmt: skip

    return step


def _round_up(count: int, stride: int, most: int) -> int:
    return min(-(-count // stride) * stride, most)
