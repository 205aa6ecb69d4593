"""Where a prompt ends: the word boundary nearest 3 s (Align-SLM, section 4.1)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from orality.types import Waveform, Word

MIN_CONTINUATION_SECONDS = 1.0


def cut_at_word(words: Sequence[Word], duration: float, *, target: float = 3.0) -> float | None:
    """Seconds at which to cut: the word boundary nearest `target`.

    A boundary is a word's end, or the middle of the pause that follows it. At least one word stays
    before the cut and one second after it; on a tie the earlier boundary wins. None when there is
    no such boundary.
    """
    best: float | None = None
    spoken = [word for word in words if word.text.strip()]
    for index, word in enumerate(spoken):
        boundary = word.end
        if index + 1 < len(spoken) and spoken[index + 1].start > word.end:
            boundary = (word.end + spoken[index + 1].start) / 2
        if not 0 < boundary <= duration - MIN_CONTINUATION_SECONDS:
            continue
        if best is None or abs(boundary - target) < abs(best - target):
            best = boundary
    return best


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
    energies = [float(np.mean(waveform.samples[s : s + size] ** 2)) for s in starts]
    centers = (starts + size / 2) / rate
    order = np.lexsort((np.abs(centers - target), np.round(energies, 9)))
    return float(centers[order[0]])
