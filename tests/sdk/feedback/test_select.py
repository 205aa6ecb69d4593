from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orality.feedback.select import MAX_DRAWS, Candidate, select_pair_by_perplexity, select_pairs

RULES = {"rejected": 1.0, "chosen": 3.0, "max_auto_bleu": 0.1}


def pick(*candidates, seed=0, **changes):
    pairs = select_pairs(candidates, **{**RULES, **changes}, seed=seed)
    return [(pair.chosen.id, pair.rejected.id) for pair in pairs]


def test_the_best_above_and_the_worst_below_make_a_pair():
    assert pick(
        Candidate("a", 3.0, 0.0),
        Candidate("b", 4.5, 0.0),
        Candidate("c", 1.0, 0.0),
        Candidate("d", 2.0, 0.0),
    ) == [("b", "c")]


def test_what_lies_between_the_thresholds_is_left_out():
    assert pick(Candidate("a", 2.9, 0.0), Candidate("b", 1.1, 0.0)) == []


def test_a_repetitive_text_is_rejected_above_the_threshold_too():
    assert pick(Candidate("a", 4.0, 0.1), Candidate("b", 3.5, 0.2)) == [("a", "b")]


def test_no_pair_prefers_the_lower_score():
    """The second repeats itself, which makes it rejected, but the judge likes it better."""
    liked = Candidate("a", 3.0, 0.1), Candidate("b", 5.0, 0.2)
    assert pick(*liked) == []
    assert pick(*liked, repetition_pairs=True) == [("a", "b")]


def test_a_continuation_without_a_score_is_neither():
    assert pick(Candidate("a", 4.0, 0.0), Candidate("b", None, 0.5)) == []


def test_a_narrower_gap_makes_no_pair():
    two = Candidate("a", 3.0, 0.0), Candidate("b", 1.0, 0.0)
    assert pick(*two, min_gap=2.0) == [("a", "b")]
    assert pick(*two, min_gap=2.1) == []


def test_several_pairs_of_a_prompt_are_those_with_the_widest_gaps():
    four = [Candidate(name, score, 0.0) for name, score in zip("abcd", (5, 4, 2, 1), strict=True)]
    rules = {"rejected": 5.0, "chosen": 1.0, "pairs_per_prompt": 4, "min_gap": 1.5}
    # Gaps: a-d 4, a-c and b-d 3, b-c 2; a-b and c-d are too narrow.
    assert pick(*four, **rules) == [("a", "d"), ("a", "c"), ("b", "d"), ("b", "c")]
    assert pick(*four, **{**rules, "pairs_per_prompt": 2}) == [("a", "d"), ("a", "c")]


def test_all_combinations_of_tied_continuations_are_kept_to_draw_from():
    tied = [Candidate(name, 4.0, 0.0) for name in "ab"] + [Candidate("z", 1.0, 0.0)]
    pairs = select_pairs(tied, **RULES)
    assert [(p.chosen.id, p.rejected.id, p.drawn) for p in pairs] == [
        ("a", "z", True), ("b", "z", True)
    ]  # fmt: skip
    [alone] = select_pairs(tied[1:], **RULES)
    assert not alone.drawn


def test_too_many_ties_are_thinned_by_the_seed():
    tied = [Candidate(f"good-{n}", 4.0, 0.0) for n in range(4)]
    tied += [Candidate(f"bad-{n}", 1.0, 0.0) for n in range(4)]
    assert len(pick(*tied, seed=7)) == MAX_DRAWS < 16
    assert pick(*tied, seed=7) == pick(*tied, seed=7) != pick(*tied, seed=8)


def test_perplexity_picks_the_lowest_that_does_not_repeat_itself():
    pairs = select_pair_by_perplexity(
        [
            Candidate("repeats", 5.0, 0.9, perplexity=2.0),
            Candidate("fluent", 1.0, 0.0, perplexity=20.0),
            Candidate("odd", 5.0, 0.0, perplexity=90.0),
        ],
        max_auto_bleu=0.1,
    )
    assert [(pair.chosen.id, pair.rejected.id) for pair in pairs] == [("fluent", "odd")]


scores = st.one_of(st.none(), st.integers(2, 10).map(lambda half: half / 2))
candidates = st.lists(st.tuples(scores, st.floats(0, 1)), max_size=8).map(
    lambda rows: [Candidate(str(n), score, bleu) for n, (score, bleu) in enumerate(rows)]
)


def sides(candidates):
    good = [c for c in candidates if c.score is not None and c.score >= 3 and c.auto_bleu <= 0.1]
    bad = [c for c in candidates if c.score is not None and (c.score <= 1 or c.auto_bleu > 0.1)]
    return good, bad


@given(candidates=candidates, seed=st.integers(0, 99))
def test_a_pair_always_keeps_equation_two(candidates, seed):
    pairs = select_pairs(candidates, **RULES, repetition_pairs=True, seed=seed)
    good, bad = sides(candidates)
    assert (not pairs) == (not good or not bad)
    for pair in pairs:
        assert pair.chosen in good
        assert pair.rejected in bad
        assert pair.chosen.score == max(c.score for c in good)
        assert pair.rejected.score == min(c.score for c in bad)


@given(candidates=candidates, gap=st.floats(0, 2), most=st.integers(1, 6))
def test_every_pair_prefers_the_higher_score_by_the_gap_at_least(candidates, gap, most):
    good, bad = sides(candidates)
    pairs = select_pairs(candidates, **RULES, min_gap=gap, pairs_per_prompt=most)
    possible = [(a, b) for a in good for b in bad if a.score > b.score and a.score - b.score >= gap]
    assert len(pairs) == min(len(possible), most) if most > 1 else bool(pairs) == bool(possible)
    for pair in pairs:
        assert (pair.chosen, pair.rejected) in possible
