from __future__ import annotations

from dataclasses import replace

import pytest

from orality import (
    CompatibilityError,
    ComponentConfig,
    JudgeSpec,
    SLMSpec,
    TokenizerSpec,
    TranscriberSpec,
    UnitSpec,
    VocoderSpec,
)
from orality.compatibility import Stack, check_stack, find_problems

UNITS = UnitSpec("mhubert-base-25hz/l11/km500", 500, 25.0)
CONFIG = ComponentConfig()


def build(config):
    raise AssertionError("the stack check must not build anything")


def stack(*, tokenizer=UNITS, slm=UNITS, vocoder=UNITS, judge=None, transcriber=None, context=2048):
    speaks = {"name": "x", "config": ComponentConfig, "build": build}
    judge_spec = judge or JudgeSpec(**speaks, reads=frozenset({"text"}), scale=(1.0, 5.0))
    transcriber_spec = transcriber or TranscriberSpec(**speaks)
    return Stack(
        tokenizer=(TokenizerSpec(**speaks, describe=lambda config: tokenizer), CONFIG),
        slm=(
            SLMSpec(**speaks, describe=lambda config: slm, context_length=lambda config: context),
            CONFIG,
        ),
        judge=(judge_spec, CONFIG),
        vocoder=None
        if vocoder is None
        else (VocoderSpec(**speaks, describe=lambda config: vocoder), CONFIG),
        transcriber=None if transcriber == "none" else (transcriber_spec, CONFIG),
    )


def test_a_stack_of_one_codebook_is_fine():
    assert find_problems(stack(), thresholds=[(1, 3), (2, 4)], seconds=10) == []


def test_codebooks_of_equal_size_are_still_different():
    other = replace(UNITS, codebook="hubert-base-ls960/l9/km500", frame_rate=50.0)
    with pytest.raises(CompatibilityError) as caught:
        check_stack(stack(tokenizer=other))
    message = str(caught.value)
    assert "hubert-base-ls960/l9/km500" in message
    assert "units.frame_rate: tokenizer has 50.0, slm has 25.0" in message
    assert "vocoder" in message


def test_fingerprints_count_only_where_both_are_stated():
    known, other = replace(UNITS, fingerprint="aa"), replace(UNITS, fingerprint="bb")
    assert find_problems(stack(tokenizer=known)) == []
    assert len(find_problems(stack(tokenizer=known, slm=other, vocoder=known))) == 1


def test_units_that_are_not_known_yet_are_compared_among_the_rest():
    other = replace(UNITS, vocab_size=100)
    assert find_problems(stack(tokenizer=None)) == []
    assert find_problems(stack(tokenizer=None, vocoder=other)) == [
        "units.vocab_size: slm has 500, vocoder has 100"
    ]


def test_a_text_judge_needs_a_transcriber_which_needs_a_vocoder():
    problems = find_problems(stack(vocoder=None, transcriber="none"))
    assert any("no transcriber" in problem for problem in problems)
    assert any("no vocoder" in problem for problem in problems)


def test_a_unit_judge_needs_neither():
    judge = JudgeSpec(
        name="u",
        config=ComponentConfig,
        build=build,
        reads=frozenset({"units"}),
        scale=(0.0, 1.0),
    )
    assert find_problems(stack(vocoder=None, transcriber="none", judge=judge)) == []


def test_a_judge_that_reads_something_unheard_of_is_refused():
    judge = JudgeSpec(
        name="u",
        config=ComponentConfig,
        build=build,
        reads=frozenset({"smell"}),
        scale=(0.0, 1.0),
    )
    assert "smell" in find_problems(stack(judge=judge))[0]


def test_thresholds_must_be_inside_the_scale_and_in_order():
    problems = find_problems(stack(), thresholds=[(0, 3), (4, 4)])
    assert problems == [
        "round 1: threshold rejected=0 is outside the scale 1 to 5 of judge 'x'",
        "round 2: the threshold for chosen (4) must be above the one for rejected (4)",
    ]


def test_languages_of_transcriber_and_judge_count():
    speaks = {"name": "x", "config": ComponentConfig, "build": build}
    english = JudgeSpec(
        **speaks,
        reads=frozenset({"text"}),
        scale=(1.0, 5.0),
        languages=lambda config: frozenset({"en"}),
    )
    german = TranscriberSpec(**speaks, languages=lambda config: frozenset({"de"}))
    translating = TranscriberSpec(**speaks, output_language=lambda config: "en")
    assert len(find_problems(stack(judge=english, transcriber=german), language="en")) == 1
    assert len(find_problems(stack(judge=english), language="de")) == 1
    assert find_problems(stack(judge=english, transcriber=translating), language="de") == []


def test_a_continuation_longer_than_the_context_is_refused():
    assert "holds 128" in find_problems(stack(context=128), seconds=10)[0]
