"""Where a prompt ends: the word boundary nearest 3 s (Align-SLM, section 4.1)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from orality.types import Waveform, Word

MIN_CONTINUATION_SECONDS = 1.0
_DIGITS = 9  # nanoseconds: finer differences come from arithmetic, not from an aligner


def cut_at_word(words: Sequence[Word], duration: float, *, target: float = 3.0) -> float | None:
    """Seconds at which to cut: the word boundary nearest `target`.

    A boundary is a word's end, or the middle of the pause that follows it; a word that is said
    during another one has none of its own. At least one word stays before the cut and one second
    after it; on a tie the earlier boundary wins. Words may come in any order; those without text
    are silence. None when there is no such boundary.
    """
    latest = round(duration - MIN_CONTINUATION_SECONDS, _DIGITS)
    best: tuple[float, float] | None = None
    for boundary in _boundaries(words):
        if 0 < boundary <= latest:
            found = (round(abs(boundary - target), _DIGITS), boundary)
            best = found if best is None else min(best, found)
    return None if best is None else best[1]


def _boundaries(words: Sequence[Word]) -> Iterator[float]:
    spoken = sorted(
        (word for word in words if word.text.strip()), key=lambda word: (word.start, word.end)
    )
    end = 0.0
    for index, word in enumerate(spoken):
        end = max(end, word.end)
        following = spoken[index + 1].start if index + 1 < len(spoken) else end
        yield round((end + following) / 2 if following > end else end, _DIGITS)


def cut_sample(cut: float, sample_rate: int) -> int:
    """The first sample after a cut: the nearest one, the later of two equally near."""
    return int(round(cut, _DIGITS) * sample_rate + 0.5)


def cut_at_pause(
    waveform: Waveform, *, target: float = 3.0, reach: float = 0.6, frame: float = 0.04
) -> float | None:
    """Seconds at which to cut where no alignment is known: the quietest 40 ms within `reach`
    seconds of `target`, the one nearest `target` among equals. An approximation, to be marked so.
    """
    rate = waveform.sample_rate
    size = max(1, int(frame * rate))
    last = min(target + reach, waveform.duration - MIN_CONTINUATION_SECONDS)
    starts = np.arange(int(max(0.0, target - reach) * rate), int(last * rate) - size + 1, size // 2)
    if len(starts) == 0:
        return None
    # Around its own mean, so that an offset is no sound.
    energies = [float(np.var(waveform.samples[s : s + size])) for s in starts]
    centers = (starts + size / 2) / rate
    order = np.lexsort((np.abs(centers - target), np.round(energies, 9)))
    return float(centers[order[0]])
