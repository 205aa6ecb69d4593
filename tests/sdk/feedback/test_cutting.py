from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from orality import CorpusError, Transcript, Units, Waveform, Word
from orality.audio import AudioLimits, write_audio
from orality.corpus import Utterance
from orality.corpus.recording import FileSlice
from orality.feedback import CutRule
from orality.feedback.cutting import Cutting
from orality.testing.tones import ToneTokenizer, whistle

RATE = 16_000
TEXT = "one two three four"
GIVEN = (Word("one", 0.2, 1.2), Word("two", 1.2, 2.9), Word("three", 3.1, 5.0), Word("four", 5, 7))
# What a model times is a little later, so that every source cuts elsewhere.
MODEL = tuple(Word(word.text, word.start + 0.2, word.end + 0.2) for word in GIVEN)


class Listener:
    """A transcriber that hears TEXT, times words if `timestamps`, and aligns if it has a name."""

    sample_rate = RATE

    def __init__(self, *, timestamps: bool = False, aligner: str | None = None) -> None:
        self.timestamps, self.aligner, self.aligns_exactly = timestamps, aligner, True
        self.asked: list[str] = []

    def transcribe(
        self, batch: Sequence[Waveform], *, language: str | None = None
    ) -> list[Transcript]:
        self.asked += [f"transcribe {waveform.duration:.1f}" for waveform in batch]
        words = MODEL if self.timestamps else ()
        return [Transcript(TEXT, words=words, confidence=0.5) for _ in batch]

    def align(
        self, batch: Sequence[Waveform], texts: Sequence[str], *, language: str | None = None
    ) -> list[Transcript | None]:
        self.asked += [f"align {text}" for text in texts]
        return [
            None if text == "misfit" else Transcript(text, words=MODEL, confidence=0.75)
            for text in texts
        ]


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    ids = np.random.default_rng(0).integers(1, 19, 80)
    samples = whistle(Units(ids)).samples[: 8 * RATE].copy()
    samples[int(2.6 * RATE) : int(2.7 * RATE)] = 0  # the pause
    write_audio(tmp_path / "speech.flac", Waveform(samples, RATE))
    return tmp_path / "speech.flac"


def cut(
    speech: Path, rule: CutRule | bool, *, words=(), text=None, transcriber=None, limits=None
) -> dict[str, object]:
    utterance = Utterance(
        "u", FileSlice(str(speech).encode()), text, words, "train", "en", limits or AudioLimits()
    )
    cutting = Cutting(speech.parent / "run", ToneTokenizer(), transcriber, 6.0, 3.0, rule)
    (record,) = cutting([utterance], "train-00000")
    return record


def told(record: dict[str, object]) -> tuple[object, ...]:
    names = ("cut_source", "cut", "cut_approximate", "cut_model", "cut_confidence")
    return tuple(record[name] for name in names)


def test_word_times_of_the_corpus_come_first_and_need_no_model(speech):
    rule = CutRule("auto", lambda: pytest.fail("was built"))
    record = cut(speech, rule, words=GIVEN, text=TEXT)
    assert told(record) == ("words", 3.0, False, None, None)
    assert (record["prompt_text"], record["continuation_text"]) == ("one two", "three four")


def test_a_transcript_without_times_is_aligned(speech):
    model = Listener(timestamps=True, aligner="ctc small")
    record = cut(speech, CutRule("auto", lambda: model), text=TEXT)
    assert told(record) == ("aligned", 3.2, False, "ctc small", 0.75)
    assert record["prompt_text"] == "one two"
    assert model.asked == ["align one two three four"]


def test_an_alignment_by_attention_is_marked_as_approximate(speech):
    model = Listener(aligner="attention small")
    model.aligns_exactly = False
    assert told(cut(speech, CutRule("auto", lambda: model), text=TEXT))[2] is True


@pytest.mark.parametrize("text", [None, "", "misfit"])
def test_else_the_words_that_are_heard_are_marked_as_approximate(speech, text):
    model = Listener(timestamps=True, aligner="ctc small")
    record = cut(speech, CutRule("auto", lambda: model), text=text)
    assert told(record) == ("asr", 3.2, True, "ctc small", 0.5)
    assert record["prompt_text"] == "one two"


@pytest.mark.parametrize("words", [GIVEN, ()])
def test_where_texts_are_translated_the_prompt_is_too(speech, words):
    model = Listener(aligner="ctc small")
    rule = CutRule("auto", lambda: model, spoken_text=False)
    record = cut(speech, rule, words=words, text="eins zwei", transcriber=lambda: model)
    assert record["cut_source"] == ("words" if words else "aligned")
    assert (record["prompt_text"], record["continuation_text"]) == (TEXT, None)
    assert model.asked[-1] == f"transcribe {record['cut']:.1f}"


def test_else_a_pause_is_and_the_prompt_is_written_down(speech):
    model = Listener()
    record = cut(speech, CutRule("auto", lambda: model), transcriber=lambda: model)
    assert told(record) == ("pause", pytest.approx(2.65, abs=0.04), True, None, None)
    assert (record["prompt_text"], record["continuation_text"]) == (TEXT, None)
    assert model.asked == ["transcribe 2.7"]  # the prompt alone


def test_without_any_model_there_is_still_a_pause(speech):
    record = cut(speech, CutRule(), text=TEXT)
    assert record["cut_source"] == "pause"
    assert record["prompt_text"] is None


@pytest.mark.parametrize("rule", [True, CutRule("fixed")])
def test_a_fixed_cut_is_at_three_seconds_sharp(speech, rule):
    record = cut(speech, rule, words=(Word("all", 0.0, 3.5), Word("the", 3.5, 7.0)))
    assert told(record) == ("fixed", 3.0, False, None, None)
    assert (record["prompt_text"], record["continuation_text"]) == ("", "all the")


@pytest.mark.parametrize("how", ["words", "aligned", "asr", "pause"])
def test_a_way_that_is_asked_for_is_the_only_one(speech, how):
    model = Listener(timestamps=True, aligner="ctc small")
    record = cut(speech, CutRule(how, lambda: model), words=GIVEN, text=TEXT)
    assert record["cut_source"] == how


@pytest.mark.parametrize(
    ("how", "reason"),
    [("words", "does not say when"), ("aligned", "could not be aligned")],
)
def test_what_does_not_allow_the_way_asked_for_is_left_out(speech, how, reason):
    model = Listener(timestamps=True, aligner="ctc small")
    record = cut(speech, CutRule(how, lambda: model), text="misfit")
    assert reason in record["skipped"]
    assert record["unreadable"] is False


@pytest.mark.parametrize(
    ("how", "said"),
    [("aligned", "the transcriber cannot align a text"), ("asr", "does not time words")],
)
@pytest.mark.parametrize("component", [None, Listener])
def test_a_way_no_component_can_go_is_an_error(speech, how, said, component):
    with pytest.raises(CorpusError, match=said):
        cut(speech, CutRule(how, component), text=TEXT)


def test_words_that_leave_no_boundary_are_not_cut_elsewhere(speech):
    record = cut(speech, CutRule(), words=(Word("long", 0.0, 7.9),))
    assert "no place to cut near 3 s" in record["skipped"]


def test_a_prompt_that_is_silent_is_left_out(speech, tmp_path):
    samples = whistle(Units(np.arange(1, 19).repeat(4))).samples[: 7 * RATE].copy()
    samples[: int(3.5 * RATE)] = 0.2  # an offset
    write_audio(tmp_path / "late.flac", Waveform(samples, RATE))
    record = cut(tmp_path / "late.flac", True)
    assert "nothing in the prompt is loud enough" in record["skipped"]


def test_what_is_longer_than_the_corpus_allows_is_not_broken(speech):
    record = cut(speech, True, limits=AudioLimits(seconds=7.0))
    assert "lasts 8 s, more than the 7 s accepted" in record["skipped"]
    assert record["unreadable"] is False


@pytest.mark.parametrize(
    ("row", "recipe", "reason"),
    [
        ("pl", "en", "its language is 'pl', not 'en'"),
        ("English", "pl", "its language is 'English', not 'pl'"),
        ("en-GB", "en", None),
        ("eng", "en_US", None),
        ("pl", None, None),
    ],
)
def test_an_utterance_in_another_language_is_no_prompt(speech, row, recipe, reason):
    utterance = Utterance(
        "u", FileSlice(str(speech).encode()), TEXT, GIVEN, "train", row, AudioLimits()
    )
    cutting = Cutting(speech.parent / "run", ToneTokenizer(), None, 6.0, 3.0, False, recipe)
    (record,) = cutting([utterance], "train-00000")
    assert (record["skipped"], record["unreadable"]) == (reason, False)


def test_words_of_a_script_without_spaces_are_joined_without_any(speech):
    words = (Word("我", 0.2, 1.2), Word("去", 1.2, 2.9), Word("那", 3.1, 5.0), Word("里", 5, 7))
    record = cut(speech, CutRule("words"), words=words)
    assert (record["prompt_text"], record["continuation_text"]) == ("我去", "那里")
