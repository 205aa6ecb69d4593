"""Independent passes side by side on a processor, each in a thread that computes alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


def in_parallel(
    work: Callable[[ItemT], ResultT], items: Sequence[ItemT], *, costs: Sequence[float]
) -> list[ResultT]:
    """`work` of each item, in order, the costliest begun first.

    torch's threads are shared out among the items while this runs: a pass scales badly over
    threads, passes side by side do not wait for each other.
    """
    threads = torch.get_num_threads()
    workers = min(threads, len(items))
    if workers < 2:
        return [work(item) for item in items]
    each = threads // workers
    order = sorted(range(len(items)), key=lambda number: -costs[number])
    torch.set_num_threads(each)
    try:
        with ThreadPoolExecutor(
            workers, initializer=torch.set_num_threads, initargs=(each,)
        ) as pool:
            found = dict(zip(order, pool.map(work, [items[n] for n in order]), strict=True))
    finally:
        torch.set_num_threads(threads)
    return [found[number] for number in range(len(items))]
