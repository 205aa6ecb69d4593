"""Who sits where: which row writes which sample, and which slot holds the prompt it follows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from orality_slm_twist.jobs import Piece

Numbers = npt.NDArray[np.int64]


class Seats:
    """Rows in homes of `samples`, and slots for prompts. Row = home * samples + n.

    `slot`: of each row's prompt, -1 for a free row. `number`: which of its piece's samples it
    writes. `start`: the step before its first token. `limit`: how many it may draw. `behind`: its
    prompt's length.
    """

    def __init__(self, homes: int, samples: int, slots: int) -> None:
        self.samples = samples
        self._slots = slots
        count = homes * samples
        self.slot: Numbers = np.full(count, -1)
        self.number: Numbers = np.zeros(count, np.int64)
        self.start: Numbers = np.zeros(count, np.int64)
        self.limit: Numbers = np.zeros(count, np.int64)
        self.behind: Numbers = np.zeros(count, np.int64)
        self._pieces: list[Piece | None] = [None] * slots

    @property
    def taken(self) -> Numbers:
        """The rows in use."""
        return np.flatnonzero(self.slot >= 0)

    def offers(self) -> Iterator[tuple[Numbers, int]]:
        """Rows and a slot for one more piece each, homes whose rows and slot are free first."""
        free = (self.slot < 0).reshape(-1, self.samples)
        used = set(self.slot[self.taken].tolist())
        empty = [home for home in np.flatnonzero(free.all(1)).tolist() if home not in used]
        for home in empty:
            yield np.arange(home * self.samples, (home + 1) * self.samples), home
        left = np.flatnonzero(free.reshape(-1))
        left = left[~np.isin(left // self.samples, empty)]
        slots = [slot for slot in range(self._slots) if slot not in used | set(empty)]
        for begin, slot in zip(
            range(0, len(left) - self.samples + 1, self.samples), slots, strict=False
        ):
            yield left[begin : begin + self.samples], slot

    def sit(self, piece: Piece, rows: Numbers, slot: int, now: int) -> None:
        """The piece's samples take these rows."""
        self.slot[rows], self.start[rows] = slot, now
        self.number[rows] = np.arange(len(rows))
        self.limit[rows], self.behind[rows] = piece.job.limit, len(piece.job.tokens)
        self._pieces[slot] = piece

    def piece(self, row: int) -> Piece:
        """What a row in use works at."""
        piece = self._pieces[int(self.slot[row])]
        assert piece is not None
        return piece

    def due(self, now: int) -> Numbers:
        """The rows that have drawn as much as they may, in step `now`."""
        return np.flatnonzero((self.slot >= 0) & (now - self.start + 1 >= self.limit))

    def leave(self, rows: Numbers) -> None:
        """These rows are free again."""
        self.slot[rows] = -1

    def shrink(self, homes: int) -> Numbers:
        """Keep `homes` homes, rows in use first, by prompt; returns which row is now where."""
        taken = self.taken
        taken = taken[np.lexsort((self.number[taken], self.slot[taken]))]
        free = np.flatnonzero(self.slot < 0)[: homes * self.samples - len(taken)]
        kept = np.concatenate([taken, free])
        self.slot, self.number, self.start = self.slot[kept], self.number[kept], self.start[kept]
        self.limit, self.behind = self.limit[kept], self.behind[kept]
        return kept

    def grid(self) -> Numbers | None:
        """Which row is at each place (slot, number); None where all are at home.

        A place that nobody has shows row 0.
        """
        rows = self.taken
        if (self.slot[rows] * self.samples + self.number[rows] == rows).all():
            return None
        # Few different sizes: each is another shape to record on a GPU.
        slots = min(-(-(int(self.slot[rows].max()) + 1) // 8) * 8, self._slots)
        grid = np.zeros((slots, self.samples), np.int64)
        grid[self.slot[rows], self.number[rows]] = rows
        return grid
