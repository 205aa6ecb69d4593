"""Speech on disk survives a cut and never speaks twice; real voices when they are installed."""

from __future__ import annotations

import json
import random
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from orality.corpus import load_corpus
from orality.errors import CorpusError
from orality.evaluation.benchmarks.sblimp import read_sblimp
from orality.evaluation.benchmarks.storycloze import read_storycloze
from orality.evaluation.benchmarks.swuggy import read_swuggy
from orality.pretraining.stories import storage
from orality.pretraining.stories.build import build_stories
from orality.pretraining.stories.grammar import Pool, lines
from orality.pretraining.stories.joining import Part
from orality.pretraining.stories.package import write_benchmarks, write_prompts
from orality.pretraining.stories.pairs import Pair
from orality.pretraining.stories.plan import split, training_texts
from orality.pretraining.stories.speech import RATE, Spoken, plain_words, speaker

KINDS = ("word", "grammar", "topic", "story")
TEXTS = ["One.", "Two words.", "Three more words."]


def _fake(text: str) -> Spoken:
    """A tenth of a second per letter, half a second of silence at either end."""
    samples = np.full(RATE + len(text) * 1600, len(text) / 100, np.float32)
    end = 0.5 + len(text) / 10
    phones = (("pau", 0.0, 0.5), ("iy", 0.5, end), ("pau", end, end + 0.5))
    words = tuple((w, 0.5, end) for w in plain_words(text))
    return Spoken(text, "fake", samples, phones, words)


@pytest.fixture
def spoken(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    counts: Counter[str] = Counter()

    def speak(text: str) -> Spoken:
        counts[text] += 1
        return _fake(text)

    monkeypatch.setattr(storage, "speaker", lambda voice: speak)
    return counts


def test_what_was_written_is_read(tmp_path: Path, spoken: Counter[str]) -> None:
    corpus = storage.write_corpus(tmp_path, TEXTS, "fake", processes=1)
    assert [r["text"] for r in corpus.rows] == TEXTS
    for row in corpus.rows:
        np.testing.assert_allclose(corpus.audio(row), _fake(row["text"]).samples, atol=1e-4)
    assert corpus.part(corpus.rows[1]).words == _fake(TEXTS[1]).words


@pytest.mark.parametrize("lost", [1, 40, 200])
def test_a_cut_run_continues_without_speaking_twice(
    tmp_path: Path, spoken: Counter[str], lost: int
) -> None:
    whole = storage.write_corpus(tmp_path / "whole", TEXTS, "fake", processes=1)
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    index = tmp_path / "cut" / storage.INDEX
    index.write_bytes(index.read_bytes()[:-lost])
    survivors = {r["text"] for r in storage.read_corpus(tmp_path / "cut").rows}
    spoken.clear()
    again = storage.write_corpus(tmp_path / "cut", TEXTS, "fake", processes=1)
    assert again.rows == whole.rows
    np.testing.assert_array_equal(again.samples, whole.samples)
    assert set(spoken) == set(TEXTS) - survivors


def test_rows_beyond_the_samples_are_left_out(tmp_path: Path, spoken: Counter[str]) -> None:
    storage.write_corpus(tmp_path, TEXTS, "fake", processes=1)
    raw = tmp_path / storage.SAMPLES
    raw.write_bytes(raw.read_bytes()[:-2])
    assert [r["text"] for r in storage.read_corpus(tmp_path).rows] == TEXTS[:2]


def test_a_folder_without_speech_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"index\.jsonl"):
        storage.read_corpus(tmp_path)


def test_an_unknown_voice_lists_the_known_ones() -> None:
    with pytest.raises(CorpusError, match="hibari, slt"):
        speaker("nobody")


def test_a_missing_program_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(CorpusError, match="apt-get install flite"):
        speaker("slt")


def _speak(text: str) -> Part:
    made = _fake(text)
    return Part(text, made.samples, made.phones, made.words)


def test_prompts_are_a_corpus_with_splits(tmp_path: Path) -> None:
    pool = Pool(lines(random.Random(0), 1500, "train"))
    stories = [pool.compose(random.Random(i), length=3) for i in range(8)]
    counts = write_prompts(
        tmp_path,
        {"train": stories[:3], "test": stories[3:]},
        _speak,
        seconds=(1, 60),
        counts={"train": 3, "test": 2},
    )
    assert counts == {"train": 3, "test": 2}
    found = load_corpus(tmp_path)
    assert [u.split for u in found] == ["test"] * 2 + ["train"] * 3
    assert found[0].text == stories[3].text
    assert [w.text for w in found[0].words] == plain_words(stories[3].text)


def test_prompts_of_one_split_never_fill_another(tmp_path: Path) -> None:
    pool = Pool(lines(random.Random(0), 1500, "train"))
    stories = [pool.compose(random.Random(i), length=3) for i in range(6)]
    given = {"train": stories[:5], "test": stories[5:]}
    counts = write_prompts(tmp_path, given, _speak, seconds=(1, 60), counts={"train": 1, "test": 2})
    assert counts == {"train": 1, "test": 1}


def test_benchmarks_are_read_back_by_the_official_layouts(tmp_path: Path) -> None:
    ending = ("Right end.", "Wrong end.", "topic", ("A b.", "C d.", "E f.", "G h."), "sky")
    pairs = [
        Pair("word", "My kite.", "My kipe.", "noun", group="kite"),
        Pair("grammar", "Dogs run.", "Dogs runs.", "verb_agreement", group="verb_agreement"),
        Pair("topic", *ending),
        Pair("story", *ending),
    ]
    counts = dict.fromkeys(KINDS, 5)
    write_benchmarks(
        tmp_path, pairs, _speak, counts=counts, sentences=3, frequency={"kite": 7}, format="flac"
    )
    (word,) = read_swuggy(tmp_path / "swuggy")
    assert word.group == "6-20"
    (sentence,) = read_sblimp(tmp_path / "sblimp")
    assert sentence.group == "verb_agreement"
    (story,) = read_storycloze(tmp_path / "tstorycloze")
    assert story.positive.with_suffix(".txt").read_text() == "A b. G h. Right end.\n"
    assert story.negative.with_suffix(".txt").read_text() == "A b. G h. Wrong end.\n"


def test_the_neural_voice_speaks_with_times_that_fit_the_sound() -> None:
    pytest.importorskip("hibari", reason="hibari-tts is not installed")
    made = speaker("hibari")("The kite flew over the trees.")
    seconds = len(made.samples) / RATE
    assert [w for w, _, _ in made.words] == ["The", "kite", "flew", "over", "the", "trees"]
    assert made.phones[-1][2] == pytest.approx(seconds, abs=0.01)
    assert all(
        a[2] == pytest.approx(b[1], abs=2e-4)
        for a, b in zip(made.phones, made.phones[1:], strict=False)
    )
    loud = np.abs(
        made.samples[round(made.words[1][1] * RATE) : round(made.words[1][2] * RATE)]
    ).max()
    quiet = np.abs(made.samples[: round(0.15 * RATE)]).max()
    assert loud > 10 * quiet
    np.testing.assert_array_equal(
        speaker("hibari")("The kite flew over the trees.").samples, made.samples
    )


def test_a_word_may_carry_its_phonemes() -> None:
    pytest.importorskip("hibari", reason="hibari-tts is not installed")
    made = speaker("hibari")("Our [blick](/blˈɪk/).")
    assert made.text == "Our blick."
    assert [p for p, _, _ in made.phones][-5:] == ["b", "l", "ih", "k", "pau"]


@pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed")
def test_flite_words_follow_each_other() -> None:
    made = speaker("slt")("The kite flew over the trees.")
    assert [w for w, _, _ in made.words] == ["The", "kite", "flew", "over", "the", "trees"]
    starts = [s for _, s, _ in made.words]
    assert starts == sorted(starts)
    assert made.words[-1][2] <= len(made.samples) / RATE + 0.1


@pytest.mark.slow
def test_everything_is_built_from_nothing(tmp_path: Path) -> None:
    pytest.importorskip("hibari", reason="hibari-tts is not installed")
    made = build_stories(
        tmp_path, num_sentences=600, num_pairs=10, num_prompts=5, voices=("hibari",), processes=1
    )
    ids = {row["id"] for folder in made.speech.values() for row in storage.read_corpus(folder).rows}
    stories = [json.loads(s) for s in made.stories.read_text().splitlines()]
    assert {i for s in stories for i in s["sentences"]} <= ids
    pairs = [json.loads(s) for s in made.pairs.read_text().splitlines()]
    texts = [t for p in pairs for t in (*p["context"], p["positive"], p["negative"])]
    assert {storage.sentence_id(t, "hibari") for t in texts} <= ids


def test_the_main_voice_must_come_first(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="hibari"):
        build_stories(tmp_path, voices=("slt",))


def test_the_training_texts_alone_are_those_of_the_whole_plan() -> None:
    plan = split(3, sentences=700, pairs=1, prompts=2, words=False)
    assert training_texts(3, sentences=700) == plan.texts("train")
