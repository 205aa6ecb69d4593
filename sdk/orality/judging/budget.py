"""What answers cost, and a limit that holds while several are under way."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from orality.errors import JudgeError
from orality.judging.answers import Usage


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per million tokens; prompts of over `long_above` tokens cost the long rates."""

    input: float
    output: float
    long_above: int | None = None
    long_input: float = 0.0
    long_output: float = 0.0

    def of(self, usage: Usage) -> float:
        """Dollars for that many tokens."""
        rates = (self.input, self.output)
        if self.long_above is not None and usage.input_tokens > self.long_above:
            rates = (self.long_input, self.long_output)
        return (usage.input_tokens * rates[0] + usage.output_tokens * rates[1]) / 1e6

    def times(self, factor: float) -> Price:
        """The same price at a discount."""
        long = (self.long_above, self.long_input * factor, self.long_output * factor)
        return Price(self.input * factor, self.output * factor, *long)


FREE = Price(0.0, 0.0)


class Budget:
    """Promises dollars to calls before they are made; safe to use from several threads.

    `limit`: the most that may be spent, None for no limit. `spent`: asks how much was, so far. A
    call is promised the most it can cost, so the limit is kept as long as that is an upper bound.
    """

    def __init__(self, limit: float | None, spent: Callable[[], float], advice: str = "") -> None:
        self._limit, self._spent, self._advice = limit, spent, advice
        self._promised = 0.0
        self._changed = threading.Condition()

    @property
    def left(self) -> float:
        """Dollars neither spent nor promised."""
        if self._limit is None:
            return float("inf")
        return self._limit - self._spent() - self._promised

    def promise(self, dollars: float, *, anyway: bool = False) -> None:
        """Set dollars aside, waiting for calls under way when only they stand against it.

        JudgeError when the limit leaves no room for this call. `anyway`: it was made before.
        """
        if self._limit is None:
            return
        with self._changed:
            while dollars > self.left and not anyway:
                if self._promised == 0.0:
                    raise JudgeError(
                        f"the next judgement may cost ${dollars:.6f}, and ${self._spent():.6f} of "
                        f"max_cost ${self._limit:.6f} are spent: what was judged is kept, raise "
                        f"max_cost to go on{self._advice}"
                    )
                self._changed.wait()
            self._promised += dollars

    def release(self, dollars: float) -> None:
        """Give a promise back, once what was truly spent is on record."""
        if self._limit is None:
            return
        with self._changed:
            self._promised -= dollars
            if self._promised < 1e-12:  # rounding must not look like a call under way
                self._promised = 0.0
            self._changed.notify_all()
