"""Who sits where, by hand: homes of two rows, slots for prompts."""

from __future__ import annotations

import numpy as np
import torch

from orality_slm_twist.jobs import Job, Piece, pieces_of
from orality_slm_twist.seats import Seats


def piece(length: int = 4, limit: int = 3, count: int = 2) -> Piece:
    return Piece(Job(0, torch.zeros(length, dtype=torch.int64), 0, limit), 0, count)


def seated(seats: Seats, now: int, count: int) -> None:
    for _, (rows, slot) in zip(range(count), list(seats.offers()), strict=False):
        seats.sit(piece(), rows, slot, now)


def test_samples_beyond_a_piece_become_another_piece():
    job = piece().job
    assert [(p.first, p.count) for p in pieces_of([job], 5, 2)] == [(0, 2), (2, 2), (4, 1)]


def test_everybody_begins_at_home():
    seats = Seats(homes=3, samples=2, slots=6)
    offers = [(rows.tolist(), slot) for rows, slot in seats.offers()]
    assert offers == [([0, 1], 0), ([2, 3], 1), ([4, 5], 2)]
    seated(seats, 0, 3)
    assert seats.slot.tolist() == [0, 0, 1, 1, 2, 2]
    assert seats.grid() is None


def test_rows_that_end_apart_are_taken_together_by_the_next_prompt():
    seats = Seats(homes=3, samples=2, slots=6)
    seated(seats, 0, 3)
    seats.leave(np.array([1]))
    assert list(seats.offers()) == []  # a prompt needs two rows
    seats.leave(np.array([4]))
    ((rows, slot),) = seats.offers()
    assert (rows.tolist(), slot) == ([1, 4], 3)
    seats.sit(piece(), rows, slot, 5)
    grid = seats.grid()
    assert grid is not None
    # slot 0 has lost its second sample, slot 2 its first; nobody's place shows row 0
    assert grid[:4].tolist() == [[0, 0], [2, 3], [0, 5], [1, 4]]
    assert len(grid) == 6


def test_an_empty_home_is_taken_with_its_own_slot():
    seats = Seats(homes=2, samples=2, slots=4)
    seated(seats, 0, 2)
    seats.leave(np.array([2, 3]))
    ((rows, slot),) = seats.offers()
    assert (rows.tolist(), slot) == ([2, 3], 1)


def test_a_slot_is_free_when_its_last_row_is():
    seats = Seats(homes=2, samples=2, slots=2)
    seated(seats, 0, 2)
    seats.leave(np.array([0, 3]))
    assert list(seats.offers()) == []  # two rows are free, but no slot


def test_a_row_is_due_when_it_has_drawn_as_much_as_it_may():
    seats = Seats(homes=2, samples=2, slots=4)
    seats.sit(piece(limit=1), np.array([0, 1]), 0, 0)
    seats.sit(piece(limit=3), np.array([2, 3]), 1, 0)
    assert seats.due(0).tolist() == [0, 1]
    seats.leave(np.array([0, 1]))
    assert seats.due(1).tolist() == []
    assert seats.due(2).tolist() == [2, 3]


def test_closing_ranks_keeps_rows_by_prompt():
    seats = Seats(homes=3, samples=2, slots=6)
    seated(seats, 0, 3)
    seats.leave(np.array([0, 2, 3, 4]))
    assert seats.shrink(1).tolist() == [1, 5]
    assert seats.slot.tolist() == [0, 2]
    grid = seats.grid()
    assert grid is not None
    assert grid[:3].tolist() == [[0, 0], [0, 0], [0, 1]]
