from __future__ import annotations

import numpy as np

from orality import Transcript, Waveform
from orality.feedback import stages


class Speaking:
    """Speaks a tone for units, and what stands for silence without them."""

    def synthesize(self, batch):
        time = np.arange(1600) / 16_000
        tone = 0.5 * np.sin(2 * np.pi * 440 * time).astype(np.float32)
        still = np.full(1600, 0.2, dtype=np.float32)  # an offset is no sound
        return [Waveform(tone if len(units) else still, 16_000) for units in batch]


class Listening:
    def __init__(self):
        self.heard = 0

    def transcribe(self, batch, *, language=None):
        self.heard += len(batch)
        return [Transcript("a tone") for _ in batch]


def test_silence_is_told_and_never_transcribed(tmp_path):
    rows = [
        {"id": "a-0", "prompt_id": "a", "units": [1, 2]},
        {"id": "a-1", "prompt_id": "a", "units": []},
    ]
    spoken = stages.synthesize(Speaking(), rows, tmp_path, "audio")
    assert [row["voiced"] for row in spoken] == [0.1, 0.0]
    listener = Listening()
    texts = stages.transcribe(listener, spoken, {row["id"]: row for row in spoken}, tmp_path)
    assert [row["text"] for row in texts] == ["a tone", ""]
    assert listener.heard == 1
    alone = stages.transcribe(listener, spoken[1:], {"a-1": spoken[1]}, tmp_path)
    assert (alone[0]["text"], listener.heard) == ("", 1)
