"""Conformance suites: subclass one, name your component, and pytest holds it to the contract.

    from orality.testing import JudgeTests

    class TestMine(JudgeTests):
        name = "mine"
        options = {"checkpoint": "small"}

A test that your component cannot pass is overridden with a reason, never deleted:

    @pytest.mark.xfail(reason="the server may answer differently each time")
    def test_same_request_same_score(self): super().test_same_request_same_score()
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from orality.protocols import (
    Judge,
    SpeechLM,
    SpeechTokenizer,
    SupportsAlignment,
    SupportsScoredIds,
    Transcriber,
    Vocoder,
)
from orality.testing.component_tests import ComponentTests, UnitComponentTests
from orality.types import JudgeRequest, SamplingOptions, Units, Verdict, Waveform


class TokenizerTests(UnitComponentTests):
    """Suite for speech tokenizers."""

    kind = "tokenizer"

    def waveforms(self) -> list[Waveform]:
        """Sounds of different lengths; override to test on real speech."""
        return [_chirp(1.0), _chirp(2.37), _chirp(0.5)]

    def test_it_keeps_the_protocol(self) -> None:
        assert isinstance(self.build(), SpeechTokenizer)

    def test_no_audio_gives_no_units(self) -> None:
        assert self.build().encode([]) == []

    def test_units_are_inside_the_vocabulary(self) -> None:
        spec = self.unit_spec()
        for units in self.build().encode(self.waveforms()):
            assert units.ids.dtype == np.int64
            assert ((units.ids >= 0) & (units.ids < spec.vocab_size)).all()
            assert units.ids.ndim == (1 if spec.num_codebooks == 1 else 2)

    def test_deduplicated_units_never_repeat_and_say_how_long_they_last(self) -> None:
        spec = self.unit_spec()
        if not spec.deduplicated:
            pytest.skip("its units are frames")
        for waveform, units in zip(
            self.waveforms(), self.build().encode(self.waveforms()), strict=True
        ):
            assert (units.ids[1:] != units.ids[:-1]).all()
            assert units.durations is not None
            assert units.durations.sum() <= waveform.duration * spec.frame_rate + 2

    def test_a_batch_never_changes_units(self) -> None:
        tokenizer = self.build()
        together = tokenizer.encode(self.waveforms())
        for waveform, units in zip(self.waveforms(), together, strict=True):
            np.testing.assert_array_equal(units.ids, tokenizer.encode([waveform])[0].ids)

    def test_another_sample_rate_is_resampled(self) -> None:
        tokenizer = self.build()
        half = Waveform(_chirp(1.0).samples, tokenizer.sample_rate // 2)
        units = tokenizer.encode([half])[0]
        assert units.durations is None or units.durations.sum() > 0


class SLMTests(UnitComponentTests):
    """Suite for spoken language models."""

    kind = "slm"

    def prompts(self) -> list[Units]:
        """Unit sequences of different lengths."""
        draw = np.random.default_rng(0)
        lengths, size = (12, 5, 23), self.unit_spec().vocab_size
        return [_deduplicated(draw.integers(0, size, length * 2)[:length]) for length in lengths]

    def test_it_keeps_the_protocol(self) -> None:
        assert isinstance(self.build(), SpeechLM)

    def test_units_survive_the_way_through_input_ids(self) -> None:
        slm = self.build()
        for units in self.prompts():
            np.testing.assert_array_equal(slm.to_units(slm.to_input_ids(units)).ids, units.ids)

    def test_likelihoods_are_negative_and_do_not_depend_on_the_batch(self) -> None:
        slm = self.build()
        together = slm.log_likelihood(self.prompts())
        alone = [slm.log_likelihood([units])[0] for units in self.prompts()]
        assert all(value < 0 for value in together)
        np.testing.assert_allclose(together, alone, rtol=1e-4)

    def test_scored_ids_are_what_scoring_reads(self) -> None:
        slm = self.build()
        wanted = [slm.to_input_ids(units).tolist() for units in self.prompts()]
        if not isinstance(slm, SupportsScoredIds):
            pytest.skip("it does not say which ids it scores")
        assert [slm.scored_ids(units).tolist() for units in self.prompts()] == wanted

    def test_each_prompt_gets_its_samples(self) -> None:
        drawn = self._draw(self.build(), self.prompts(), [1, 2, 3])
        assert [len(samples) for samples in drawn] == [2, 2, 2]
        size = self.unit_spec().vocab_size
        for samples in drawn:
            for sample in samples:
                assert len(sample.units) <= 8
                assert ((sample.units.ids >= 0) & (sample.units.ids < size)).all()
                assert sample.log_prob is None or sample.log_prob <= 0

    def test_the_same_seed_draws_the_same_in_any_batch(self) -> None:
        slm = self.build()
        together = self._draw(slm, self.prompts(), [1, 2, 3])
        alone = self._draw(slm, self.prompts()[1:2], [2])
        for first, second in zip(together[1], alone[0], strict=True):
            np.testing.assert_array_equal(first.units.ids, second.units.ids)

    def test_another_seed_draws_something_else(self) -> None:
        slm = self.build()
        first, second = (self._draw(slm, self.prompts(), [s, s, s]) for s in (1, 2))
        assert any(
            not np.array_equal(a.units.ids, b.units.ids)
            for x, y in zip(first, second, strict=True)
            for a, b in zip(x, y, strict=True)
        )

    def test_a_sibling_runs_another_module(self) -> None:
        slm = self.build()
        assert slm.with_module(slm.module).module is slm.module

    def _draw(self, slm: SpeechLM, prompts: list[Units], seeds: list[int]) -> Any:
        return slm.generate(
            prompts, num_samples=2, max_new_units=8, sampling=SamplingOptions(), seeds=seeds
        )


class VocoderTests(UnitComponentTests):
    """Suite for vocoders."""

    kind = "vocoder"

    def batch(self) -> list[Units]:
        """Unit sequences of different lengths."""
        draw = np.random.default_rng(0)
        size = self.unit_spec().vocab_size
        return [_deduplicated(draw.integers(0, size, length)) for length in (6, 17, 11)]

    def test_it_keeps_the_protocol(self) -> None:
        assert isinstance(self.build(), Vocoder)

    def test_it_speaks_inside_the_range(self) -> None:
        vocoder = self.build()
        for waveform in vocoder.synthesize(self.batch()):
            assert waveform.sample_rate == vocoder.sample_rate
            assert waveform.samples.dtype == np.float32
            assert waveform.samples.ndim == 1
            assert np.abs(waveform.samples).max() <= 1.0

    def test_no_units_give_no_samples(self) -> None:
        empty = Units(np.zeros(0, dtype=np.int64))
        assert len(self.build().synthesize([empty])[0].samples) == 0

    def test_a_batch_never_changes_a_waveform(self) -> None:
        vocoder = self.build()
        for units, waveform in zip(self.batch(), vocoder.synthesize(self.batch()), strict=True):
            alone = vocoder.synthesize([units])[0]
            np.testing.assert_allclose(waveform.samples, alone.samples, atol=1e-5)


class TranscriberTests(ComponentTests):
    """Suite for transcribers."""

    kind = "transcriber"

    def waveforms(self) -> list[Waveform]:
        """Sounds of different lengths; override to test on real speech."""
        return [_chirp(1.0), _chirp(2.0)]

    def test_it_keeps_the_protocol(self) -> None:
        assert isinstance(self.build(), Transcriber)

    def test_no_audio_gives_no_text(self) -> None:
        assert self.build().transcribe([]) == []

    def test_each_waveform_gets_one_transcript(self) -> None:
        assert len(self.build().transcribe(self.waveforms())) == len(self.waveforms())

    def test_silence_gives_an_empty_text(self) -> None:
        transcriber = self.build()
        rate = transcriber.sample_rate
        silence = Waveform(np.zeros(rate, dtype=np.float32), rate)
        assert transcriber.transcribe([silence])[0].text == ""

    def test_given_texts_are_aligned_in_order_where_that_is_offered(self) -> None:
        transcriber = self.build()
        rate = transcriber.sample_rate
        if not isinstance(transcriber, SupportsAlignment) or transcriber.aligner is None:
            pytest.skip("it aligns no given text")
        assert transcriber.align([], []) == []
        sounds = [*self.waveforms(), Waveform(np.zeros(rate, dtype=np.float32), rate)]
        found = transcriber.align(sounds, ["a b a"] * len(sounds))
        assert found[-1] is None, "silence has no words"
        for sound, transcript in zip(sounds, found, strict=True):
            if transcript is not None:
                assert [word.text for word in transcript.words] == ["a", "b", "a"]
                times = [time for word in transcript.words for time in (word.start, word.end)]
                assert times == sorted(times)
                assert times[0] >= 0
                assert times[-1] <= sound.duration
                assert transcript.confidence is None or 0 <= transcript.confidence <= 1


class JudgeTests(ComponentTests):
    """Suite for judges."""

    kind = "judge"

    def requests(self) -> list[JudgeRequest]:
        """Requests with text, audio and units; override where your judge needs more."""
        units = Units(np.arange(5))
        texts = ("and then he went home", "home the and went he then", "she smiled at last")
        return [
            JudgeRequest(
                id=f"request-{index}",
                prompt_text="tom lost his kite in the park",
                continuation_text=text,
                prompt_audio=_chirp(1.0),
                continuation_audio=_chirp(1.0 + index),
                prompt_units=units,
                continuation_units=units,
            )
            for index, text in enumerate(texts)
        ]

    def test_it_keeps_the_protocol(self) -> None:
        assert isinstance(self.build(), Judge)

    def test_no_requests_give_no_verdicts(self) -> None:
        assert self.build().score([]) == []

    def test_scores_are_inside_the_declared_scale(self) -> None:
        low, high = self.spec().scale  # type: ignore[attr-defined]
        for verdict in self.build().score(self.requests()):
            assert isinstance(verdict, Verdict)
            assert verdict.score is None or low <= verdict.score <= high

    def test_verdicts_keep_the_order_of_requests(self) -> None:
        judge = self.build()
        scores = [verdict.score for verdict in judge.score(self.requests())]
        turned = [verdict.score for verdict in judge.score(self.requests()[::-1])]
        assert scores == pytest.approx(turned[::-1], abs=1e-3)

    def test_same_request_same_score(self) -> None:
        judge = self.build()
        request = self.requests()[0]
        first, second = (judge.score([request])[0].score for _ in range(2))
        assert first == second


def _chirp(seconds: float, sample_rate: int = 16_000) -> Waveform:
    time = np.arange(int(seconds * sample_rate)) / sample_rate
    samples = 0.3 * np.sin(2 * np.pi * (300 + 200 * time) * time)
    return Waveform(samples.astype(np.float32), sample_rate)


def _deduplicated(ids: np.ndarray[Any, Any]) -> Units:
    keep = np.concatenate([[True], ids[1:] != ids[:-1]])
    return Units(ids[keep].astype(np.int64))
