from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from orality.testing.toy_slm import random_slm
from orality.training import Lora, Settings, policy_fingerprint, read_metrics, train_dpo
from orality.training.attention import packed_attention
from orality.training.dpo import dpo_method
from orality.training.log_probs import sum_log_probs
from orality.training.losses import PreferenceLoss
from orality.training.rows.preferences import preference_items
from orality.types import PreferencePair

SHORT = {
    "settings": Settings(learning_rate=1e-2, warmup_steps=0, steps=3, items_per_step=8),
    "lora": Lora(r=4),
}


@pytest.fixture
def all_pairs(random_units):
    """Two prompts, each with 2 chosen and 2 rejected continuations, in all 4 combinations."""
    pairs = []
    for prompt in range(2):
        chosen = [random_units(10 * prompt + i, 5 + i) for i in range(2)]
        rejected = [random_units(10 * prompt + 5 + i, 4 + i) for i in range(2)]
        for i, good in enumerate(chosen):
            for j, bad in enumerate(rejected):
                name = f"{prompt}-{i}{j}"
                start = random_units(90 + prompt, 6)
                pairs.append(PreferencePair(name, f"p{prompt}", start, good, bad))
    return pairs


def test_pairs_of_a_prompt_share_it_and_each_continuation_is_read_once(slm, all_pairs):
    first, second = preference_items(slm, all_pairs)
    assert first.ids == ("0-00", "0-01", "0-10", "0-11")
    assert [len(ids) for ids in first.group.continuations] == [5, 4, 5, 6]
    assert first.sides.tolist() == [[0, 1], [0, 2], [3, 1], [3, 2]]
    assert second.ids[0] == "1-00"


def test_shared_continuations_give_the_losses_of_separate_pairs(slm, all_pairs):
    method = dpo_method(PreferenceLoss())

    def losses(items):
        known = [replace(item, references=torch.zeros(len(item.ids), 2)) for item in items]
        with packed_attention(slm.module) as backend:
            sums = sum_log_probs(slm.module, [item.group for item in items], backend)
        return method.losses(known, sums)

    apart = [item for pair in all_pairs for item in preference_items(slm, [pair])]
    together, separate = losses(preference_items(slm, all_pairs)), losses(apart)
    for name in method.columns:
        torch.testing.assert_close(together[name], separate[name], equal_nan=True)


def test_no_reference_is_computed_where_the_pairs_carry_it(all_pairs, tmp_path, monkeypatch):
    """Beyond a sample, all forwards of the training run with the adapter on."""
    from peft import PeftModel

    from orality.training import reference

    slm = random_slm()
    items = preference_items(slm, all_pairs)
    by_id = {}
    for item in items:
        sums = sum_log_probs(slm.module, [item.group], None).tolist()
        by_id |= {n: [sums[i] for i in s] for n, s in zip(item.ids, item.sides, strict=True)}
    carrying = [
        replace(
            pair,
            reference=policy_fingerprint(slm),
            reference_chosen=by_id[pair.id][0],
            reference_rejected=by_id[pair.id][1],
        )
        for pair in all_pairs
    ]
    switched_off = []
    plain = PeftModel.disable_adapter
    monkeypatch.setattr(
        PeftModel, "disable_adapter", lambda self: switched_off.append(1) or plain(self)
    )
    monkeypatch.setattr(reference, "SAMPLE", 0)
    train_dpo(slm, carrying, out=tmp_path / "carried", **SHORT)
    assert not switched_off
    train_dpo(slm, all_pairs, out=tmp_path / "computed", **SHORT)
    assert switched_off
    losses = [
        [line["loss"] for line in read_metrics(tmp_path / name / "metrics.jsonl")]
        for name in ("carried", "computed")
    ]
    np.testing.assert_allclose(*losses, atol=1e-4)


def test_recomputed_activations_give_the_same_training(all_pairs, tmp_path):
    found = []
    for on in (False, True):
        options = {**SHORT, "settings": replace(SHORT["settings"], activation_checkpointing=on)}
        out = tmp_path / str(on)
        train_dpo(random_slm(), all_pairs, out=out, **options)
        found.append([line["loss"] for line in read_metrics(out / "metrics.jsonl")])
    assert found[0] == pytest.approx(found[1], rel=1e-6)


def test_metrics_say_how_long_and_repetitive_the_chosen_side_is(slm, all_pairs, tmp_path):
    """Chosen 5 and 6 units against rejected 4 and 5, in all combinations: 1 unit more on average.
    Auto-BLEU is known of one pair only: 0.25 - 0.5."""
    known = {"chosen_auto_bleu": 0.25, "rejected_auto_bleu": 0.5}
    pairs = [replace(all_pairs[0], metadata=known), *all_pairs[1:]]
    train_dpo(slm, pairs, out=tmp_path, **SHORT)
    first = read_metrics(tmp_path / "metrics.jsonl")[0]
    assert (first["longer"], first["repeats"]) == (1.0, -0.25)
    assert first["kl"] == pytest.approx(0, abs=1e-5)
