"""Corpora of stories by the number: whose sentences they hold, and what a second call does."""

from __future__ import annotations

import builtins
import json
import random
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from orality.cli.commands import app
from orality.corpus import load_corpus
from orality.errors import CorpusError
from orality.evaluation import find_benchmark
from orality.pretraining.stories import prompts, speech, storage
from orality.pretraining.stories.grammar import split_of
from orality.pretraining.stories.package import LEAST_KBITS
from orality.pretraining.stories.prompts import SHIPPED, build, build_prompts
from orality.pretraining.stories.request import Request
from orality.pretraining.stories.speech import RATE, Spoken, plain_words

WORDS_A_SECOND = 3
NAMES = ("swuggy", "sblimp", "tstorycloze", "sstorycloze")


def _fake(text: str) -> Spoken:
    """Three words a second between two silences of an eighth of a second, as `trim` leaves them."""
    text = re.sub(r"\[([^\]]*)\]\(/[^)]*\)", r"\1", text)
    words = plain_words(text)
    times = [0.125 + i / WORDS_A_SECOND for i in range(len(words) + 1)]
    samples = np.full(round((times[-1] + 0.125) * RATE), 0.1, np.float32)
    phones = (("iy", times[0], times[-1]),)
    spans = tuple((w, a, b) for w, a, b in zip(words, times, times[1:], strict=False))
    return Spoken(text, "hibari", samples, phones, spans)


@pytest.fixture
def spoken(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    counts: Counter[str] = Counter()

    def speak(text: str) -> Spoken:
        counts[text] += 1
        return _fake(text)

    for module in (storage, prompts):
        monkeypatch.setattr(module, "speaker", lambda voice: speak)
    # what the tiny stack was trained on takes half a minute to list
    monkeypatch.setattr(prompts, "training_texts", lambda: ["The kite flew."])
    return counts


def _sentences(folder: Path) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for line in (folder / "manifest.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        found.setdefault(row["split"], set()).update(re.findall(r"[A-Z][^.]*\.", row["text"]))
    return found


def test_training_stories_are_of_training_sentences_and_the_others_are_not(
    tmp_path: Path, spoken: Counter[str]
) -> None:
    made = build_prompts(tmp_path / "made", prompts=12, dev=3, test=4)
    splits = {k: {split_of(s) for s in v} for k, v in _sentences(made).items()}
    assert splits["train"] == {"train"}
    assert splits["dev"] <= {"dev", "prompt"}
    assert splits["test"] == {"test"}
    corpus = load_corpus(made)
    assert {s: len(corpus.ids_of(s)) for s in ("train", "dev", "test")} == {
        "train": 12, "dev": 3, "test": 4,
    }  # fmt: skip
    assert corpus[0].load(sample_rate=RATE).samples.shape[0] >= 7 * RATE
    assert not (made / ".speech").exists()


def test_no_two_stories_open_alike() -> None:
    found = prompts.prompt_stories(random.Random(3), ("train",), 60)
    assert len(found) > 60
    assert len({story.lines[0].text for story in found}) == len(found)
    assert all(len(story.lines) == 3 for story in found)


def test_a_seed_makes_the_same_stories_again(tmp_path: Path, spoken: Counter[str]) -> None:
    folders = [
        build_prompts(tmp_path / name, prompts=3, dev=0, test=1, seed=seed)
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    first, same, other = ((f / "manifest.jsonl").read_bytes() for f in folders)
    assert first == same != other


def test_what_was_killed_goes_on_and_what_is_finished_is_left(
    tmp_path: Path, spoken: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(stage: str, done: int, total: int, note: str = "") -> None:
        if stage == "writing stories" and done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_prompts(tmp_path / "made", prompts=4, dev=0, test=2, progress=cut)
    assert not (tmp_path / "made" / "manifest.jsonl").exists()
    once = dict(spoken)
    build_prompts(tmp_path / "made", prompts=4, dev=0, test=2)
    assert spoken == once
    assert len(load_corpus(tmp_path / "made")) == 6
    before = (tmp_path / "made" / "manifest.jsonl").stat().st_mtime_ns
    monkeypatch.setattr(prompts, "speaker", None)  # what is finished needs no voice
    build_prompts(tmp_path / "made", prompts=4, dev=0, test=2)
    assert (tmp_path / "made" / "manifest.jsonl").stat().st_mtime_ns == before


def test_other_stories_are_not_mixed_into_a_folder(tmp_path: Path, spoken: Counter[str]) -> None:
    build_prompts(tmp_path / "made", prompts=2, dev=0, test=1)
    with pytest.raises(CorpusError, match="choose another folder"):
        build_prompts(tmp_path / "made", prompts=3, dev=0, test=1)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").touch()
    with pytest.raises(CorpusError, match="holds other files"):
        build_prompts(tmp_path / "full", prompts=2, dev=0)


def test_pairs_become_benchmarks_of_held_out_sentences(
    tmp_path: Path, spoken: Counter[str]
) -> None:
    made = build_prompts(tmp_path / "made", prompts=2, dev=0, test=1, pairs=3)
    for name in NAMES:
        pairs = find_benchmark(made / "benchmarks" / name, name=name).read()
        assert len(pairs) == 3, name
    endings = [
        text
        for folder in ("tstorycloze", "sstorycloze")
        for path in (made / "benchmarks" / folder).glob("*.txt")
        for text in re.findall(r"[A-Z][^.]*\.", path.read_text())
    ]
    assert {split_of(text) for text in endings} == {"test"}
    card = (made / "README.md").read_text()
    assert "3 T-StoryCloze" in card
    assert "training split" in card


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"prompts": 1, "pairs": 601}, "wanted 0 to 600"),
        ({"prompts": 0, "dev": 0, "test": 0}, "wanted none below 0"),
        ({"prompts": -1}, "wanted none below 0"),
    ],
)
def test_numbers_that_cannot_be_made_are_named(
    tmp_path: Path, asked: dict[str, int], message: str
) -> None:
    with pytest.raises(CorpusError, match=message):
        build_prompts(tmp_path / "made", **asked)


def test_a_bit_rate_that_halves_the_band_is_refused(tmp_path: Path) -> None:
    request = Request({"train": 1}, {}, format="ogg", kbits=LEAST_KBITS - 1)
    with pytest.raises(CorpusError, match="half of the band"):
        build(tmp_path / "made", request)


def test_too_few_stories_are_counted_before_anything_is_written(
    tmp_path: Path, spoken: Counter[str]
) -> None:
    with pytest.raises(CorpusError, match=r"got \{'train': 0\}, wanted \{'train': 2\}"):
        build(tmp_path / "made", Request({"train": 2}, {}, seconds=(60.0, 70.0)))
    assert not (tmp_path / "made" / "audio").exists()


def test_a_missing_voice_says_which_extra_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *rest: object, **named: object) -> object:
        if name.startswith("hibari"):
            raise ImportError("No module named 'hibari'", name="hibari")
        return real(name, *rest, **named)  # type: ignore[arg-type]

    speech.hibari.cache_clear()
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(CorpusError, match=r'pip install "orality\[stories\]"'):
        build_prompts(tmp_path / "made", prompts=1)


def test_the_command_makes_the_folder(tmp_path: Path, spoken: Counter[str]) -> None:
    out = str(tmp_path / "made")
    asked = ["stories", "--prompts", "3", "--dev", "0", "--test", "2", "--out", out]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.output
    assert len(load_corpus(out)) == 5
    assert CliRunner().invoke(app, [*asked, "--format", "mp3"]).exit_code == 2


def test_what_is_shipped_is_what_the_request_says() -> None:
    corpus = load_corpus("stories")
    assert {s: len(corpus.ids_of(s)) for s in SHIPPED.prompts} == SHIPPED.prompts
    for kind, name in zip(("word", "grammar", "topic", "story"), NAMES, strict=True):
        assert len(find_benchmark(f"stories/{name}").read()) == SHIPPED.pairs[kind], name


def test_no_shipped_prompt_or_story_has_a_sentence_of_the_training_text() -> None:
    prompts_folder = Path(prompts.__file__).parents[2] / "data" / "prompts"
    shipped = _sentences(prompts_folder)
    splits = {k: {split_of(s) for s in v} for k, v in shipped.items()}
    assert set().union(*splits.values()) == {"prompt"}
    for pair in prompts.shipped_pairs():
        if pair.kind in ("topic", "story"):
            texts = {*pair.context, pair.positive, pair.negative}
            assert {split_of(text) for text in texts} == {"test"}
