from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from orality.preferences.shortcuts import shortcut_accuracies
from orality.preferences.ties import draw_of, draw_shares
from orality.types import PreferencePair, Units


def pair(name, chosen, rejected, *, sums=(None, None), bleu=(None, None), draw=None, prompt="p"):
    """A pair of so many units a side."""
    metadata = {"chosen_auto_bleu": bleu[0], "rejected_auto_bleu": bleu[1], "draw": draw}
    return PreferencePair(
        id=name,
        prompt_id=prompt,
        prompt=Units(np.array([1])),
        chosen=Units(np.arange(chosen)),
        rejected=Units(np.arange(rejected)),
        reference_chosen=sums[0],
        reference_rejected=sums[1],
        metadata={key: value for key, value in metadata.items() if value is not None},
    )


def test_each_shortcut_is_right_where_its_side_leads_and_half_right_in_a_tie():
    """Longer: won, lost, tied: 1.5 of 3. Per unit: -8/4 > -9/3 won, -4/2 > -12/4 won, and
    -6/3 = -6/3 tied: 2.5 of 3. Repeats: lost, tied, and one unknown: 0.5 of 2."""
    pairs = [
        pair("a", 4, 3, sums=(-8.0, -9.0), bleu=(0.2, 0.1)),
        pair("b", 2, 4, sums=(-4.0, -12.0), bleu=(0.1, 0.1)),
        pair("c", 3, 3, sums=(-6.0, -6.0)),
    ]
    assert shortcut_accuracies(pairs) == {
        "longer_wins": pytest.approx(0.5),
        "likelier_wins": pytest.approx(2.5 / 3),
        "fewer_repeats_wins": pytest.approx(0.25),
    }


def test_a_shortcut_without_pairs_to_decide_is_left_out():
    assert shortcut_accuracies([pair("a", 4, 3, sums=(-8.0, None))]) == {"longer_wins": 1.0}
    assert shortcut_accuracies([]) == {}


def test_alternatives_share_the_weight_of_one_pair():
    """One draw of three, of which two are won, beside a pair that is lost: (2/3 + 0) / 2."""
    pairs = [
        pair("a", 4, 3, draw="best"),
        pair("b", 4, 3, draw="best"),
        pair("c", 3, 4, draw="best"),
        pair("d", 3, 4),
    ]
    assert draw_shares(pairs) == pytest.approx([1 / 3, 1 / 3, 1 / 3, 1])
    assert shortcut_accuracies(pairs) == {"longer_wins": pytest.approx(1 / 3)}


def test_draws_of_two_prompts_are_apart():
    assert draw_of(pair("a", 1, 1, draw="best")) != draw_of(
        pair("b", 1, 1, draw="best", prompt="q")
    )
    assert draw_of(pair("best", 1, 1)) != draw_of(pair("b", 1, 1, draw="best"))


def test_shortcuts_need_no_torch():
    code = "import sys, orality.preferences.shortcuts; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
