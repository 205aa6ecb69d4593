"""The stories' judge: what it finds grammatical, what it forgives, and what must agree."""

from __future__ import annotations

import json
import random
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orality import JudgeRequest
from orality.pretraining.stories import Pool, lines
from orality.testing import JudgeTests
from orality_judge_stories import StoriesConfig, build, languages
from orality_judge_stories.parse import parse
from orality_judge_stories.spelling import Spelling, plain_words

PROMPT = "Tom took a red kite to the beach. He wanted to"
# Of the frames and phrases in the grammar, so that the nearest text is the text itself.
NEXT = "fly the kite as high as the clouds. But the kite got stuck in a tall tree."


@pytest.fixture(scope="module")
def judge() -> Any:
    return build(StoriesConfig())


@pytest.fixture
def verdict(judge):
    def of(continuation, prompt=PROMPT):
        return judge.score([JudgeRequest(prompt_text=prompt, continuation_text=continuation)])[0]

    return of


class TestStories(JudgeTests):
    name = "stories"


def test_it_reads_english_alone():
    assert languages(StoriesConfig()) == {"en"}


def test_what_the_grammar_makes_scores_five_however_it_is_cut_and_spelled(verdict):
    words = NEXT.split()
    for count in range(4, len(words) + 1):
        assert verdict(" ".join(words[:count])).score == pytest.approx(5.0)
    assert verdict(NEXT.upper().replace(".", " ,")).score == pytest.approx(5.0)
    assert verdict(NEXT[:-2]).metrics["grammatical"] == 1.0  # "tre" may still become "tree"


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 12))
def test_every_story_of_the_grammar_is_grammatical_and_agrees_with_itself(seed, cut):
    pool = Pool(lines(random.Random(1), 3000, "train"))
    words = pool.compose(random.Random(seed)).text.split()
    judge = build(StoriesConfig())
    prompt, rest = " ".join(words[:cut]), " ".join(words[cut:])
    (found,) = judge.score([JudgeRequest(prompt_text=prompt, continuation_text=rest)])
    assert found.score == pytest.approx(5.0), found.metrics


def test_a_wrong_and_a_superfluous_word_cost_one_a_missing_one_too(verdict):
    def share(text):
        return verdict(text).metrics["grammatical"]

    assert share("fly the kite xx high as the clouds") == pytest.approx(7 / 8)
    assert share("fly the kite as qq high as the clouds") == pytest.approx(8 / 9)
    assert share("fly the kite high as the clouds") == pytest.approx((7 - 1) / 7)


def test_near_spellings_have_partial_credit(verdict):
    # Six words of full credit, and `kites` of 0.8 or `sty`, of whose three letters two are right.
    found = verdict("watch the kites rise into the sky").metrics["grammatical"]
    assert found == pytest.approx((6 + 0.8) / 7)
    found = verdict("watch the kite rise into the sty").metrics["grammatical"]
    assert found == pytest.approx((6 + 2 / 3) / 7)


def test_credits_are_by_letters_or_sound_and_words_of_the_grammar_stay_apart():
    spelling = Spelling(["mia", "kite", "goat", "boat"])
    assert spelling.credits("mia").tolist() == [1, 0, 0, 0]
    assert spelling.credits("maya")[0] == 1  # two edits of four letters, but the same sound
    assert spelling.credits("goad").tolist() == pytest.approx([0, 0, 0.75, 0.5])
    assert spelling.credits("boat").tolist() == [0, 0, 0, 1]
    assert spelling.credits("kight")[1] > 0.7
    assert spelling.credits("zzzzzz").max() == 0


def test_halves_of_a_word_are_joined():
    known = {"snowman", "snow", "the", "a", "way", "away"}
    assert plain_words("The Snow-man, Tom's!", known) == ["the", "snowman", "toms"]
    assert plain_words("a way", known) == ["a", "way"]


def test_another_topic_hero_gender_and_object_disagree(verdict):
    topic = verdict("bake a sweet cake for dinner")
    assert (topic.metrics["topic"], topic.metrics["object"]) == (0, 0)
    assert topic.score == pytest.approx(1 + 4 * (0.1 + 0.2 + 0.15))
    gender = verdict("hold the string of the kite. She cried when the string broke")
    assert gender.metrics["hero"] == 0
    name = verdict("hold the string of the kite. Ben was worried because the string broke")
    assert name.metrics["hero"] == 0
    thing = verdict("hold the string of the balloon. Then the balloon got stuck in a tall tree")
    assert (thing.metrics["topic"], thing.metrics["object"]) == (1, 0)


def test_a_friend_is_fixed_by_the_first_mention(verdict):
    both = "hold the string of the kite. Mia saw that the kite got stuck in a tall tree. {} came to"
    assert verdict(both.format("Mia")).metrics["hero"] == 1
    assert verdict(both.format("Ben")).metrics["hero"] == pytest.approx(1 / 2)


def test_sentences_out_of_order_and_wrong_solutions_are_counted(verdict):
    problem = "hold the string of the kite. Then the kite got stuck in a tall tree. "
    assert verdict(problem + "So he climbed up to the top branch").metrics["order"] == 1
    assert verdict(problem + "So he mended the kite with tape").metrics["order"] == 1 / 2
    again = "hold the string of the kite. He wanted to hold the string of the kite."
    assert verdict(again).metrics["order"] == 0


def test_a_prompt_that_says_no_topic_allows_any_and_the_continuation_keeps_its_own():
    assert len(parse("One morning", "").prompt_topics) == 14
    assert parse("One morning Tom went to the beach with a", "").prompt_topics == {0}


def test_an_empty_continuation_scores_one_a_short_one_in_proportion_none_is_no_score(verdict):
    assert (verdict("").score, verdict(" ... ").rationale) == (1.0, "no speech")
    assert verdict("fly the").score == pytest.approx(1 + 4 * 2 / 4)
    assert verdict(None).score is None


def test_true_endings_are_told_from_others_and_from_words_in_disorder(judge):
    manifest = files("orality") / "data/prompts/manifest.jsonl"
    rows = [json.loads(line) for line in manifest.read_text(encoding="utf-8").splitlines()][:60]
    texts = [row["text"].split() for row in rows]
    cuts = [sum(end <= 3.0 for _, _, end in row["words"]) for row in rows]
    ends = [words[cut:] for words, cut in zip(texts, cuts, strict=True)]
    rng = random.Random(0)
    kinds = {
        "true": ends,
        "other": ends[1:] + ends[:1],
        "disorder": [rng.sample(words, len(words)) for words in ends],
    }
    means = {}
    for kind, found in kinds.items():
        requests = [
            JudgeRequest(prompt_text=" ".join(words[:cut]), continuation_text=" ".join(end))
            for words, cut, end in zip(texts, cuts, found, strict=True)
        ]
        scores = [verdict.score for verdict in judge.score(requests)]
        means[kind] = sum(scores) / len(scores)
        assert kind != "true" or min(scores) == pytest.approx(5.0)
    assert means["other"] < 3.2
    assert means["disorder"] < 1.7


@pytest.mark.parametrize(
    "prompt",
    ["The birch canoe slid on the smooth planks.", "Mister Quilter is the apostle of the middle"],
)
def test_a_prompt_that_is_not_from_the_stories_is_not_judged(verdict, prompt):
    found = verdict(NEXT, prompt)
    assert found.score is None
    assert "not from the stories" in found.rationale
