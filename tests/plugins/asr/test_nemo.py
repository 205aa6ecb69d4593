"""The `nemo` transcriber on models that stand in for NeMo's; test_nemo_models.py has real ones."""

from __future__ import annotations

import importlib.util
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

import orality
from orality import CompatibilityError, Waveform
from orality.audio.silence import is_silent
from orality_asr_nemo import NemoConfig, output_language
from orality_asr_nemo.recordings import cut
from orality_asr_nemo.transcriber import NemoTranscriber
from orality_asr_nemo.words import words_of

RATE = 16_000


class FakeModel:
    """Answers how many samples it got, and notes how it was called."""

    def __init__(self, rate: int = RATE) -> None:
        self.cfg = {"preprocessor": {"sample_rate": rate}}
        self.calls: list[Any] = []
        self.lengths: list[int] = []
        self.in_eval = False

    def get_transcribe_config(self) -> Any:
        return SimpleNamespace(num_workers=None)

    def transcribe(self, audio: Any, override_config: Any, **asked: Any) -> list[Any]:
        self.calls.append((override_config, asked))
        self.lengths = [len(samples) for samples in audio]
        self.in_eval = False
        return [self.hypothesis(samples) for samples in audio]

    def hypothesis(self, samples: Any) -> Any:
        word = {"word": "all", "start": 0.1, "end": len(samples) / RATE + 0.3}
        return SimpleNamespace(text=f" {len(samples)} ", timestamp={"word": [word]})

    def eval(self) -> FakeModel:
        self.in_eval = True
        return self


class FakeMultitask(FakeModel):
    """A model with a prompt, whose config therefore has one, too."""

    timestamps_asr_model = None

    def __init__(self, slots: tuple[str, ...]) -> None:
        super().__init__()
        self.prompt = FakePrompt(slots)
        self.tokenizer = SimpleNamespace(token_to_id=["<|en|>", "<|de|>"].count)

    def get_transcribe_config(self) -> Any:
        return SimpleNamespace(num_workers=None, prompt=[], enable_chunking=True)


class FakePrompt:
    def __init__(self, slots: tuple[str, ...]) -> None:
        self.slots = slots

    def get_slots(self, role: str) -> dict[str, None]:
        return dict.fromkeys(self.slots)

    def get_default_dialog_slots(self) -> list[dict[str, Any]]:
        return [{"role": "user", "slots": {"itn": "yes", "emotion": None}}]

    def encode_dialog(self, turns: list[dict[str, Any]]) -> None:
        assert set(turns[0]["slots"]) == set(self.slots)


FIRST_CANARY = ("source_lang", "task", "target_lang", "pnc")
LATER_CANARY = (
    "decodercontext", "emotion", "source_lang", "target_lang", "pnc", "itn", "timestamp", "diarize",
)  # fmt: skip


def tone(samples: int, rate: int = RATE) -> Waveform:
    time = np.arange(samples) / rate
    return Waveform((0.1 * np.sin(2 * np.pi * 440 * time)).astype(np.float32), rate)


def silence(samples: int = 800) -> Waveform:
    return Waveform(np.zeros(samples, dtype=np.float32), RATE)


def test_arrays_are_not_padded_and_the_model_ends_in_eval_mode():
    model = FakeModel()
    transcriber = NemoTranscriber(model, batch_size=4)
    heard = transcriber.transcribe([tone(4000), silence(), tone(4000, 8000)])
    assert [item.text for item in heard] == ["4000", "", "8000"]
    settings, asked = model.calls[0]
    assert settings.pad_min_duration == 0.0
    assert (settings.batch_size, settings.num_workers) == (4, 0)
    assert asked == {}
    assert model.in_eval


def test_like_lengths_share_a_batch_and_the_order_is_kept():
    model = FakeModel()
    lengths = [3000, 9000, 5000, 7000]
    heard = NemoTranscriber(model).transcribe([tone(length) for length in lengths])
    assert [item.text for item in heard] == [str(length) for length in lengths]
    assert model.lengths == sorted(lengths, reverse=True)


def test_the_model_is_in_eval_mode_even_after_a_failure():
    class Failing(FakeModel):
        def hypothesis(self, samples: Any) -> Any:
            raise RuntimeError("out of memory")

    model = Failing()
    with pytest.raises(RuntimeError, match="out of memory"):
        NemoTranscriber(model).transcribe([tone(4000)])
    assert model.in_eval


def test_silence_alone_never_reaches_the_model():
    model = FakeModel()
    offset = Waveform(np.full(RATE, 0.5, dtype=np.float32), RATE)
    faint = Waveform(np.full(RATE, 1e-4, dtype=np.float32), RATE)
    empty, blip = silence(0), tone(640)  # 40 ms are no speech
    found = NemoTranscriber(model).transcribe([silence(), offset, faint, empty, blip])
    assert [item.text for item in found] == [""] * 5
    assert model.calls == []


def test_the_model_s_own_rate_is_used():
    transcriber = NemoTranscriber(FakeModel(rate=8000))
    assert transcriber.sample_rate == 8000
    assert transcriber.transcribe([tone(16_000)])[0].text == "8000"


def test_words_have_times_where_asked_and_lie_inside_the_recording():
    model = FakeModel()
    (heard,) = NemoTranscriber(model, timestamps=True).transcribe([tone(8000)])
    (word,) = heard.words
    assert (word.text, word.start, word.end) == ("all", 0.1, 0.5)
    settings, asked = model.calls[0]
    assert asked == {"timestamps": True}
    assert settings.return_hypotheses
    assert settings.timestamps


def test_times_are_in_order_and_words_without_a_place_get_their_neighbors():
    stamps = [
        {"word": "one", "start": 0.4, "end": 0.9},
        {"word": "two", "start": -1, "end": -1},
        {"word": " ", "start": 0.9, "end": 0.9},
        {"word": "three", "start": 0.8, "end": 1.2},
    ]
    hypothesis = SimpleNamespace(timestamp={"word": stamps})
    words = words_of(hypothesis, seconds=1.1, shift=-0.1, start=10.0)
    assert [word.text for word in words] == ["one", "two", "three"]
    times = [(word.start, word.end) for word in words]
    assert times == [
        pytest.approx((10.3, 10.8)),
        pytest.approx((10.8, 10.8)),
        pytest.approx((10.8, 11.1)),
    ]
    assert words_of(SimpleNamespace(timestamp=[]), seconds=1.0, shift=0.0, start=0.0) == ()


def test_the_first_canary_is_told_the_task_and_both_languages():
    model = FakeMultitask(FIRST_CANARY)
    (heard,) = NemoTranscriber(model, language="de", target_language="en").transcribe([tone(4000)])
    assert (heard.language, heard.task) == ("en", "translate")
    (turn,) = model.calls[0][0].prompt
    assert turn["role"] == "user"
    assert turn["slots"] == {
        "source_lang": "de", "task": "ast", "target_lang": "en", "pnc": "yes",
    }  # fmt: skip
    assert model.calls[0][0].enable_chunking is False
    assert not hasattr(model.calls[0][0], "pad_min_duration")


def test_later_canaries_get_every_slot_they_have_and_no_task():
    model = FakeMultitask(LATER_CANARY)
    transcriber = NemoTranscriber(model, timestamps=True, punctuation=False)
    (heard,) = transcriber.transcribe([tone(4000)], language="de")
    assert (heard.language, heard.task) == ("de", "transcribe")
    (turn,) = model.calls[0][0].prompt
    assert turn["slots"] == {
        "decodercontext": "", "emotion": "<|emo:undefined|>", "source_lang": "de",
        "target_lang": "de", "pnc": "no", "itn": "yes", "timestamp": "yes",
        "diarize": "<|nodiarize|>",
    }  # fmt: skip


def test_an_aligner_in_the_checkpoint_tells_the_times_instead_of_the_prompt():
    model = FakeMultitask(FIRST_CANARY)
    with pytest.raises(CompatibilityError, match="timestamps"):
        NemoTranscriber(model, timestamps=True)
    model.timestamps_asr_model = object()
    (heard,) = NemoTranscriber(model, timestamps=True).transcribe([tone(8000)])
    # NeMo padded 0.5 s to 1 s, a quarter of a second of it in front.
    assert (heard.words[0].start, heard.words[0].end) == (0.0, pytest.approx(0.5))


def test_a_language_the_model_does_not_know_is_refused():
    with pytest.raises(CompatibilityError, match="'fr'"):
        NemoTranscriber(FakeMultitask(FIRST_CANARY)).transcribe([tone(4000)], language="fr")
    with pytest.raises(CompatibilityError, match="'de'"):
        NemoTranscriber(FakeModel()).transcribe([tone(4000)], language="de")
    with pytest.raises(CompatibilityError, match="itself"):
        NemoTranscriber(
            FakeMultitask(FIRST_CANARY), language="de", target_language="en"
        ).transcribe([tone(4000)], language="en")


def test_only_multitask_models_translate():
    with pytest.raises(CompatibilityError, match="Canary"):
        NemoTranscriber(FakeModel(), target_language="de")


def test_a_configuration_that_cannot_work_is_refused():
    translating = NemoConfig(checkpoint="x", language="de", task="translate", target_language="en")
    assert output_language(translating) == "en"
    assert output_language(NemoConfig(checkpoint="x", language="de")) == "de"
    for wrong in (
        {"task": "translate"},
        {"task": "translate", "target_language": "en"},
        {"task": "translate", "target_language": "de", "timestamps": True},
        {"target_language": "de"},
    ):
        with pytest.raises(ValidationError):
            NemoConfig(checkpoint="x", **wrong)


def test_long_recordings_of_multitask_models_are_cut_at_quiet_places():
    samples = tone(100 * RATE).samples.copy()
    samples[35 * RATE : 35 * RATE + 640] = 0.0
    pieces = cut(samples, RATE)
    assert sum(len(part) for _, part in pieces) == len(samples)
    assert max(len(part) for _, part in pieces) <= 40 * RATE
    assert [start for start, _ in pieces][:2] == [0.0, pytest.approx(35.0, abs=0.04)]
    model = FakeMultitask(FIRST_CANARY)
    (heard,) = NemoTranscriber(model).transcribe([Waveform(samples, RATE)])
    assert heard.text.split() == [str(len(part)) for _, part in pieces]
    assert len(NemoTranscriber(FakeModel()).transcribe([Waveform(samples, RATE)])[0].text) == 7


def test_silence_is_told_by_the_sound_around_the_mean():
    click = np.full(RATE, 0.3, np.float32)
    click[500:520] = 1.0
    assert is_silent(click, RATE)
    assert not is_silent(click + tone(RATE).samples, RATE)
    assert is_silent(tone(959).samples, RATE)
    assert not is_silent(tone(960).samples, RATE)


@pytest.mark.skipif(importlib.util.find_spec("nemo") is not None, reason="NeMo is installed")
def test_without_nemo_the_error_says_how_to_get_it():
    with pytest.raises(orality.PluginError, match="pip install 'orality-asr-nemo"):
        orality.build("transcriber", "nemo", checkpoint="stt_en_conformer_ctc_small")
