"""Ties: alternatives of one draw, of which an epoch learns from one."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from orality.testing.toy_slm import random_slm
from orality.training import Lora, PreferenceLoss, Settings, read_metrics, train_dpo
from orality.training.dpo import dpo_method
from orality.training.rows.preferences import draw_pairs, preference_items
from orality.types import PreferencePair


@pytest.fixture
def tied(random_units):
    """Six prompts, each with two best and two worst continuations tied, and a pair by itself."""

    def make(prompts=6, first=0):
        pairs = []
        for prompt in range(first, first + prompts):
            good = [random_units(10 * prompt + i, 5 + i) for i in range(2)]
            bad = [random_units(10 * prompt + 5 + i, 4 + i) for i in range(2)]
            start = random_units(900 + prompt, 6)
            pairs += [
                PreferencePair(
                    f"{prompt}-{i}{j}", f"p{prompt}", start, good[i], bad[j],
                    chosen_score=4.0, rejected_score=2.0, metadata={"draw": "best"},
                )
                for i in range(2)
                for j in range(2)
            ]  # fmt: skip
            alone = random_units(700 + prompt, 3), random_units(800 + prompt, 3)
            pairs.append(PreferencePair(f"{prompt}-x", f"p{prompt}", start, *alone, 3.0, 2.0))
        return pairs

    return make


def test_an_epoch_uses_one_pair_of_each_draw_and_what_it_needs(slm, tied):
    [item] = preference_items(slm, tied(1))
    assert item.draws.tolist() == [0, 0, 0, 0, 1]
    assert item.shares.tolist() == [0.25, 0.25, 0.25, 0.25, 1.0]
    seen = set()
    for epoch in range(40):
        drawn = draw_pairs(item, epoch, 0)
        assert len(drawn.ids) == 2
        assert drawn.ids[1] == "0-x"
        assert len(drawn.group.continuations) == 4
        assert drawn.shares.tolist() == [1.0, 1.0]
        index = item.ids.index(drawn.ids[0])
        for side in range(2):
            was = item.group.continuations[item.sides[index, side]]
            assert torch.equal(drawn.group.continuations[drawn.sides[0, side]], was)
        seen.add(drawn.ids[0])
    assert seen == {"0-00", "0-01", "0-10", "0-11"}


@given(epoch=st.integers(0, 1000), seed=st.integers(0, 1000))
def test_a_draw_depends_on_epoch_and_seed_alone(epoch, seed):
    import numpy as np

    from orality.types import Units

    pairs = [
        PreferencePair(str(i), "p", *(Units(np.array([n])) for n in (1, 2, 3 + i)),
                       metadata={"draw": "a"})
        for i in range(5)
    ]  # fmt: skip
    [item] = preference_items(random_slm(), pairs)
    first = draw_pairs(item, epoch, seed)
    assert first.ids == draw_pairs(item, epoch, seed).ids
    assert len(first.ids) == 1


def test_an_item_without_alternatives_stays_as_it_is(slm, make_pairs):
    [item] = preference_items(slm, make_pairs(1))
    assert draw_pairs(item, 3, 1) is item


def options(**changes):
    settings = Settings(
        learning_rate=1e-2, warmup_steps=0, epochs=3, items_per_step=4, max_tokens=200,
        evaluate_every=2,
    )  # fmt: skip
    return {"settings": replace(settings, **changes), "lora": Lora(r=4)}


def test_steps_count_pairs_after_the_draw(slm, tied, tmp_path):
    """Six prompts of two draws each, four pairs a step: three steps an epoch."""
    assert train_dpo(slm, tied(), out=tmp_path, **options()).steps == 9


class Killed(Exception):
    pass


def test_a_training_with_draws_continues_bit_for_bit(tied, tmp_path):
    def kill(stage, done, total, note=""):
        if stage == "dpo" and done == 5:
            raise Killed

    straight = train_dpo(random_slm(), tied(), tied(2, 6), out=tmp_path / "a", **options())
    with pytest.raises(Killed):
        train_dpo(random_slm(), tied(), tied(2, 6), out=tmp_path / "b", progress=kill, **options())
    resumed = train_dpo(random_slm(), tied(), tied(2, 6), out=tmp_path / "b", **options())
    name = "adapter_model.safetensors"
    assert (straight.adapter / name).read_bytes() == (resumed.adapter / name).read_bytes()
    assert straight.dev == resumed.dev


def test_dev_figures_are_means_over_draws(slm, tied):
    """Losses 1, 2, 3, 4 of alternatives and 7 of the pair alone: (2.5 + 7) / 2."""
    [item] = preference_items(slm, tied(1))
    method = dpo_method(PreferenceLoss())
    columns = {
        name: torch.zeros(5, dtype=torch.float64) for name in method.columns if name != "share"
    }
    columns |= {"loss": torch.tensor([1.0, 2.0, 3.0, 4.0, 7.0]), "share": item.shares}
    assert method.figures(columns)["loss"] == pytest.approx(4.75)


def test_gaps_reach_the_loss_and_are_relative_to_the_mean_over_draws(slm, tied, tmp_path):
    """Gaps 2 and 1, mean 1.5; both losses are log 2 at first, so their mean is log 2 again. As a
    margin of 1 a point, they are log(1 + e^2) and log(1 + e)."""
    for name, scale, expected in (("weight", 1.0, 0.693147), ("margin", 1.0, 1.720095)):
        out = tmp_path / name
        loss = PreferenceLoss(gap=name, gap_scale=scale)
        train_dpo(slm, tied(), out=out, loss=loss, **options(steps=1, epochs=None))
        assert read_metrics(out / "metrics.jsonl")[0]["loss"] == pytest.approx(expected, abs=1e-4)


def test_the_result_has_shortcuts_and_warnings(slm, tied, tmp_path, caplog):
    settings = options(learning_rate=1e-7)
    result = train_dpo(slm, tied(), tied(2, 6), out=tmp_path, **settings)
    stored = json.loads((tmp_path / "result.json").read_text())
    # Chosen 5 or 6 units against 4 or 5: three won and a tie; 3 against 3 in the pair alone.
    assert stored["shortcuts"]["longer_wins"] == pytest.approx((3.5 / 4 + 0.5) / 2)
    assert 0 <= stored["shortcuts"]["likelier_wins"] <= 1
    last = read_metrics(tmp_path / "metrics.jsonl")[-1]
    assert last["dev_longer_wins"] == stored["shortcuts"]["longer_wins"]
    [warning] = stored["warnings"]
    assert "hardly moved" in warning
    assert caplog.text.count("hardly moved") == 1
    again = train_dpo(slm, tied(), tied(2, 6), out=tmp_path, **settings)
    assert list(again.warnings) == list(result.warnings)
