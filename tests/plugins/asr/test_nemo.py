from __future__ import annotations

import importlib.util
from types import SimpleNamespace

import numpy as np
import pytest

import orality
from orality import Waveform
from orality_asr_nemo.transcriber import NemoTranscriber


class FakeModel:
    """Answers how many samples it got, and notes how it was called."""

    def __init__(self):
        self.calls, self.in_eval = [], False

    def transcribe(self, audio, override_config):
        self.calls.append(override_config)
        self.in_eval = False
        return [SimpleNamespace(text=f" {len(samples)} ") for samples in audio]

    def eval(self):
        self.in_eval = True
        return self


def tone(samples, rate=16_000):
    return Waveform(np.full(samples, 0.1, dtype=np.float32), rate)


def test_arrays_are_not_padded_and_the_model_ends_in_eval_mode():
    model = FakeModel()
    transcriber = NemoTranscriber(model, SimpleNamespace, "en", 4)
    silence = Waveform(np.zeros(800, dtype=np.float32), 16_000)
    texts = [item.text for item in transcriber.transcribe([tone(8000), silence, tone(4000, 8000)])]
    assert texts == ["8000", "", "8000"]
    assert model.calls[0].pad_min_duration == 0.0
    assert model.in_eval


def test_silence_alone_never_reaches_the_model():
    model = FakeModel()
    silence = Waveform(np.zeros(800, dtype=np.float32), 16_000)
    transcriber = NemoTranscriber(model, SimpleNamespace, "en", 4)
    assert transcriber.transcribe([silence])[0].text == ""
    assert model.calls == []


@pytest.mark.skipif(importlib.util.find_spec("nemo") is not None, reason="NeMo is installed")
def test_without_nemo_the_error_says_how_to_get_it():
    with pytest.raises(orality.PluginError, match="pip install 'orality-asr-nemo"):
        orality.build("transcriber", "nemo", checkpoint="nvidia/parakeet-ctc-1.1b")
