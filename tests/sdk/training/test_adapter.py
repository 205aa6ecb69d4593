from __future__ import annotations

import json
import logging

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from orality.errors import CheckpointError, TrainingError
from orality.testing.toy_slm import random_slm
from orality.training.adapter import (
    adapted,
    add_adapter,
    load_adapter,
    load_policy,
    remove_adapter,
    save_adapter,
)
from orality.training.fingerprint import policy_fingerprint

IDS = torch.tensor([[3, 9, 4, 12, 7, 5]])


def logits(slm):
    with torch.no_grad():
        return slm.module(input_ids=IDS).logits


def disturb(policy, seed):
    """Stand-in for a training: fill the adapter with noise."""
    generator = torch.Generator().manual_seed(seed)
    for name, weight in policy.module.named_parameters():
        if "lora_" in name:
            nn.init.normal_(weight.data, std=0.3, generator=generator)


def trained(slm, path, seed):
    policy = add_adapter(slm, r=4, alpha=8, seed=seed)
    disturb(policy, seed)
    result = logits(policy)
    save_adapter(policy, path, base="anything")
    remove_adapter(policy)
    return result


def test_a_fresh_adapter_changes_nothing_and_is_all_that_learns(slm):
    before = logits(slm)
    policy = add_adapter(slm, r=4, alpha=8)
    assert torch.equal(logits(policy), before)
    learning = [name for name, w in policy.module.named_parameters() if w.requires_grad]
    assert len(learning) == 8  # two layers, q_proj and v_proj, A and B
    assert all("lora_" in name for name in learning)


def test_a_fresh_adapter_depends_on_its_seed_alone(slm):
    torch.manual_seed(1)
    first = policy_fingerprint(add_adapter(random_slm(), seed=3))
    torch.manual_seed(2)
    assert policy_fingerprint(add_adapter(random_slm(), seed=3)) == first
    assert policy_fingerprint(add_adapter(random_slm(), seed=4)) != first


def test_the_reference_is_the_policy_with_its_adapter_switched_off(slm):
    before = logits(slm)
    policy = add_adapter(slm, r=4, alpha=8)
    disturb(policy, 1)
    assert not torch.allclose(logits(policy), before, atol=1e-3)
    with policy.module.disable_adapter():
        assert torch.equal(logits(policy), before)


def test_adapted_leaves_the_model_as_it_was(slm):
    before, names = logits(slm), [name for name, _ in slm.module.named_parameters()]
    with adapted(slm, r=4, alpha=8, dropout=0.0, seed=0) as policy:
        disturb(policy, 1)
        policy.module.train()
    assert torch.equal(logits(slm), before)
    assert [name for name, _ in slm.module.named_parameters()] == names
    assert all(weight.requires_grad for weight in slm.module.parameters())
    assert not slm.module.training


def test_a_saved_adapter_comes_back_bit_for_bit(slm, tmp_path):
    expected = trained(slm, tmp_path / "adapter", 1)
    assert torch.equal(logits(load_adapter(random_slm(), tmp_path / "adapter")), expected)


def test_a_saved_adapter_is_a_plain_peft_folder_that_names_no_machine(slm, tmp_path):
    slm.module.name_or_path = str(tmp_path / "secret")
    trained(slm, tmp_path / "adapter", 1)
    files = sorted(file.name for file in (tmp_path / "adapter").iterdir())
    assert files == ["adapter_config.json", "adapter_model.safetensors", "orality.json"]
    assert str(tmp_path) not in (tmp_path / "adapter" / "adapter_config.json").read_text()


def test_two_adapters_in_sequence_reproduce_the_policy_from_the_base_alone(tmp_path):
    first = trained(random_slm(), tmp_path / "1", 1)
    start_of_round_2 = load_policy(random_slm(), [tmp_path / "1"])
    torch.testing.assert_close(logits(start_of_round_2), first, rtol=0, atol=1e-5)
    second = trained(start_of_round_2, tmp_path / "2", 2)
    base = random_slm()
    again = load_policy(base, [tmp_path / "1", tmp_path / "2"])
    torch.testing.assert_close(logits(again), second, rtol=0, atol=1e-5)
    assert not torch.allclose(second, first, atol=1e-3)
    assert torch.equal(logits(base), logits(random_slm()))


def test_no_adapters_give_the_base(slm):
    assert load_policy(slm, []) is slm


def test_an_adapter_in_the_wrong_order_is_noticed(tmp_path, caplog):
    base = random_slm()
    policy = add_adapter(base, r=4)
    save_adapter(policy, tmp_path / "2", base="the fingerprint of round 1")
    with caplog.at_level(logging.WARNING):
        load_policy(random_slm(), [tmp_path / "2"])
    assert "trained on other weights" in caplog.text


def test_a_folder_that_is_no_adapter_is_refused(slm, tmp_path):
    with pytest.raises(CheckpointError, match=r"it has no adapter_config.json"):
        load_adapter(slm, tmp_path / "nowhere")


def test_an_adapter_for_other_units_is_refused(slm, tmp_path):
    trained(slm, tmp_path / "adapter", 1)
    card = tmp_path / "adapter" / "orality.json"
    card.write_text(json.dumps({**json.loads(card.read_text()), "codebook": "other"}))
    with pytest.raises(CheckpointError, match="is for units 'other'"):
        load_adapter(slm, tmp_path / "adapter")


def test_an_adapter_of_another_shape_is_refused(slm, tmp_path):
    trained(slm, tmp_path / "adapter", 1)
    config = tmp_path / "adapter" / "adapter_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "r": 5}))
    with pytest.raises(CheckpointError, match="does not fit this model"):
        load_adapter(random_slm(), tmp_path / "adapter")


def test_two_adapters_at_once_are_refused(slm):
    with pytest.raises(TrainingError, match="has an adapter on it already"):
        add_adapter(add_adapter(slm))


def test_a_model_without_the_wanted_layers_is_refused(slm):
    slm.lora_targets = ["nothing_of_the_kind"]
    with pytest.raises(TrainingError, match="no adapter fits"):
        add_adapter(slm)


def test_targets_may_be_named(slm):
    policy = add_adapter(slm, r=4, targets=["layers.0.fc1", "v_proj"])
    learning = [name for name, w in policy.module.named_parameters() if w.requires_grad]
    assert len(learning) == 6  # fc1 of one layer, v_proj of two, A and B
    assert sum("layers.0.fc1" in name for name in learning) == 2


def test_a_target_that_matches_no_layer_is_named_with_those_there_are(slm):
    with pytest.raises(
        TrainingError, match=r"no layer is called 'fc3', 'proj'; .* fc1, fc2, k_pro"
    ):
        add_adapter(slm, targets=["q_proj", "fc3", "proj"])
    assert type(slm.module).__name__ == "OPTForCausalLM"


def saved(slm, folder, **options):
    """A folder with an adapter that does something; `slm` is as before."""
    policy = add_adapter(slm, r=4, alpha=8, **options)
    disturb(policy, 5)
    save_adapter(policy, folder)
    remove_adapter(policy)
    return folder / "adapter_model.safetensors"


def renamed(file):
    """As torch.compile names the weights of what it wraps."""
    wrapped = "base_model.model._orig_mod."
    tensors = load_file(file).items()
    save_file({k.replace("base_model.model.", wrapped, 1): v for k, v in tensors}, file)
    return wrapped


def without_one(file):
    tensors = load_file(file)
    name = sorted(tensors)[-1]
    del tensors[name]
    save_file(tensors, file)
    return name


def with_one_more(file):
    save_file({**load_file(file), "base_model.model.of.nobody": torch.zeros(2)}, file)
    return "of.nobody"


def with_a_weight_of_the_base(file):
    name = "base_model.model.model.embed_tokens.weight"
    save_file({**load_file(file), name: torch.zeros(2)}, file)
    return name


def of_another_rank(file):
    tensors = load_file(file)
    name = next(iter(sorted(tensors)))
    save_file({**tensors, name: torch.zeros(3, 5)}, file)
    return name


def cut(file):
    file.write_bytes(file.read_bytes()[:200])
    return file.name


def emptied(file):
    file.write_bytes(b"")
    return file.name


def a_page(file):
    file.write_text("<html>please log in</html>")
    return file.name


def with_nested_settings(file):
    (file.parent / "adapter_config.json").write_text("[" * 100_000)
    return str(file.parent)


def of_a_kind_nobody_knows(file):
    config = file.parent / "adapter_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "peft_type": "OWN"}))
    return str(file.parent)


DAMAGES = [
    renamed, without_one, with_one_more, with_a_weight_of_the_base, of_another_rank, cut, emptied,
    a_page, with_nested_settings, of_a_kind_nobody_knows,
]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_adapter_is_refused_by_name_and_leaves_the_model_as_it_was(slm, tmp_path, damage):
    named = damage(saved(slm, tmp_path / "adapter"))
    names, before = [name for name, _ in slm.module.named_modules()], logits(slm)
    with pytest.raises(CheckpointError) as caught:
        load_adapter(slm, tmp_path / "adapter")
    assert named in str(caught.value)
    assert [name for name, _ in slm.module.named_modules()] == names
    assert torch.equal(logits(slm), before)
    with pytest.raises(CheckpointError):
        load_policy(slm, [tmp_path / "adapter"])


def test_the_targets_of_a_saved_adapter_stand_in_one_order(slm, tmp_path):
    targets = ["v_proj", "fc2", "q_proj", "fc1", "k_proj"]
    known = {name.rpartition(".")[2] for name, _ in slm.module.named_modules()}
    targets = [name for name in targets if name in known]
    assert len(targets) > 2
    file = saved(slm, tmp_path / "a", targets=targets)
    config = json.loads((file.parent / "adapter_config.json").read_text())
    assert config["target_modules"] == sorted(targets)
