from __future__ import annotations

import pytest

from orality import StoreError
from orality.feedback.select import Candidate
from orality.run.adoption import compare


def prompts(**rows):
    return {
        name: [Candidate(f"{name}-{i}", score, bleu) for i, (score, bleu) in enumerate(row)]
        for name, row in rows.items()
    }


def test_a_round_is_kept_when_the_prompts_that_both_policies_continued_score_higher():
    """Means by prompt: a 2 and 3, b 4 and 4; c is only there before, d has no score after."""
    before = prompts(a=[(1, 0.1), (3, 0.3)], b=[(4, 0.0)], c=[(5, 0.0)], d=[(5, 0.0)])
    after = prompts(a=[(3, 0.0)], b=[(3, 0.2), (5, 0.4)], d=[(None, 0.0)])
    found = compare(before, after)
    assert found.adopted
    assert (found.prompts, found.before, found.after, found.difference) == (2, 3.0, 3.5, 0.5)
    assert found.auto_bleu_before == pytest.approx(0.4 / 3)
    assert found.auto_bleu_after == pytest.approx(0.2)
    assert found.ci is not None
    assert not compare(after, before).adopted


def test_a_round_that_changes_nothing_is_not_kept():
    same = prompts(a=[(2, None)], b=[(3, None)])
    found = compare(same, same)
    assert not found.adopted
    assert found.auto_bleu_before is None


def test_nothing_to_compare_is_an_error():
    with pytest.raises(StoreError, match="no dev prompt has a score before and after"):
        compare(prompts(a=[(1, 0)]), prompts(b=[(1, 0)]))
