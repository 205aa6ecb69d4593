"""Unit language models: what a batch holds, that training learns and resumes, and the folder."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig

from orality import CheckpointError, TrainingError, UnitSpec
from orality.pretraining.unit_lm.data import BOS, EOS, OFFSET, BatchSource, UnitCorpus, join_units
from orality.pretraining.unit_lm.model import cold_unit_lm, warm_unit_lm, write_unit_lm
from orality.pretraining.unit_lm.train import UnitLMSettings, held_out_loss, train_unit_lm

SPEC = UnitSpec("toy/l1/km12", 12, 25.0)
SETTINGS = UnitLMSettings(
    hidden_size=32, layers=1, context_length=32, steps=30, batch_tokens=128, learning_rate=1e-2,
    warmup=5, ema=0.5,
)  # fmt: skip


def counting() -> UnitCorpus:
    """Sequences that count upwards modulo 12: the next unit is always certain."""
    units = {f"s{i}": np.arange(i, i + 6 + i % 5) % 12 for i in range(12)}
    stories = [(f"s{i}", f"s{(i + 6 + i % 5) % 12}") for i in range(12)]
    return UnitCorpus(units=units, stories=stories, singles=sorted(units))


def train(out: Path, **changes: object) -> Path:
    settings = dataclasses.replace(SETTINGS, **changes)
    return train_unit_lm(counting(), unit_spec=SPEC, out=out, settings=settings, device="cpu")


def test_parts_are_joined_without_a_repeat_at_the_joint():
    joined = join_units([np.array([1, 2, 3]), np.array([3, 4]), np.array([4]), np.array([5, 1])])
    assert joined.tolist() == [1, 2, 3, 4, 5, 1]
    assert join_units([]).tolist() == []


def test_rows_are_sequences_between_specials_and_targets_are_one_on():
    corpus = UnitCorpus(units={"a": np.array([4, 5, 6])}, stories=[("a",)])
    with_bos = BatchSource(corpus, tokens=8, max_length=16, seed=0, bos_share=1.0, shift_share=0.0)
    batch = with_bos[0]
    assert batch.inputs[0].tolist() == [BOS, 4 + OFFSET, 5 + OFFSET, 6 + OFFSET]
    assert batch.targets[0].tolist() == [4 + OFFSET, 5 + OFFSET, 6 + OFFSET, EOS]
    assert batch.positions[0].tolist() == [0, 1, 2, 3]
    without = BatchSource(corpus, tokens=8, max_length=16, seed=0, bos_share=0.0)
    assert without[0].inputs[0].tolist() == [4 + OFFSET, 5 + OFFSET, 6 + OFFSET]


def test_a_batch_depends_on_its_step_alone_and_keeps_to_its_budget():
    source = BatchSource(counting(), tokens=64, max_length=20, seed=3)
    late = source[700]
    again = BatchSource(counting(), tokens=64, max_length=20, seed=3)
    for step in range(701):
        batch = again[step]
        assert batch.inputs.numel() <= 64
        assert int(batch.positions.max()) < 20
    assert torch.equal(batch.inputs, late.inputs)
    assert torch.equal(source[3].inputs, again[3].inputs)
    assert not torch.equal(source[3].inputs, source[4].inputs)
    assert (batch.targets[batch.inputs == 0] == -100).all()


def test_noise_changes_input_units_and_nothing_else():
    plain = BatchSource(counting(), tokens=2000, max_length=32, seed=3)[0]
    noisy = BatchSource(counting(), tokens=2000, max_length=32, seed=3, noise=0.3)[0]
    assert torch.equal(plain.targets, noisy.targets)
    changed = plain.inputs != noisy.inputs
    assert (plain.inputs[changed] >= OFFSET).all()
    assert (noisy.inputs[changed] >= OFFSET).all()
    assert 0.15 < changed.float().mean() < 0.3  # one in twelve stays by chance, padding always


def test_a_long_sequence_is_cut_to_the_context():
    corpus = UnitCorpus(units={"a": np.arange(100) % 12}, stories=[("a",)])
    batch = BatchSource(corpus, tokens=64, max_length=16, seed=0, bos_share=0.0)[0]
    assert batch.inputs.shape[1] == 16
    steps = (batch.targets - batch.inputs)[batch.targets != EOS]
    assert set(steps.tolist()) == {1, -11}


def test_an_unusable_corpus_is_refused(tmp_path):
    def refused(corpus: UnitCorpus, message: str) -> None:
        with pytest.raises(TrainingError, match=message):
            train_unit_lm(corpus, unit_spec=SPEC, out=tmp_path, settings=SETTINGS, device="cpu")

    refused(UnitCorpus(units={}, stories=[]), "is empty")
    refused(UnitCorpus(units={}, stories=[("a", "b")]), "2 sequences .* have no units, 'a'")
    refused(UnitCorpus(units={"a": np.array([1, 12])}, stories=[("a",)]), "1 to 12")
    refused(UnitCorpus(units={"a": np.array([1, 1])}, stories=[("a",)]), "repeats units")
    refused(UnitCorpus(units={"a": np.zeros(0, np.int64)}, stories=[("a",)]), "empty sequences")


def test_training_learns_what_comes_next(tmp_path):
    path = train(tmp_path, steps=150)
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
    ids = torch.tensor([[3 + OFFSET, 4 + OFFSET, 5 + OFFSET]])
    assert int(model(input_ids=ids).logits[0, -1].argmax()) == 6 + OFFSET
    assert held_out_loss(model, [np.arange(2, 9)]) < 0.5  # log 12 = 2.48 for a guess


def test_a_killed_training_ends_with_the_same_weights(tmp_path):
    from safetensors.torch import load_file

    whole = load_file(train(tmp_path / "whole") / "model.safetensors")

    class Killed(Exception):
        pass

    def kill(stage: str, done: int, total: int, note: str = "") -> None:
        if done == 17:
            raise Killed

    options = {"unit_spec": SPEC, "out": tmp_path / "cut", "settings": SETTINGS, "device": "cpu"}
    with pytest.raises(Killed):
        train_unit_lm(counting(), **options, checkpoint_seconds=0.0, progress=kill)
    cut = load_file(train_unit_lm(counting(), **options) / "model.safetensors")
    assert whole.keys() == cut.keys()
    for name, weight in whole.items():
        assert torch.equal(weight, cut[name]), name


def test_evaluations_are_logged_with_the_held_out_loss(tmp_path):
    train_unit_lm(
        counting(), unit_spec=SPEC, out=tmp_path, settings=SETTINGS, device="cpu",
        evaluate=lambda module: {"mine": float(not module.training)}, evaluate_every=20,
        held_out=[np.arange(5)],
    )  # fmt: skip
    rows = [json.loads(line) for line in (tmp_path / "losses.jsonl").read_text().splitlines()]
    evaluated = [row for row in rows if "mine" in row]
    assert [row["step"] for row in evaluated] == [20, 30]
    assert all(row["mine"] == 1.0 and row["held_out_loss"] > 0 for row in evaluated)


def test_the_held_out_loss_leaves_out_the_first_unit_of_each_sequence():
    module = cold_unit_lm(SPEC, hidden_size=32, layers=1, context_length=32).eval()
    with torch.no_grad():
        module.lm_head.weight.zero_()  # all 15 tokens are equally likely
    assert held_out_loss(module, [np.arange(3), np.arange(9)]) == pytest.approx(np.log(15))


def test_the_folder_is_a_twist_folder(tmp_path):
    module = cold_unit_lm(SPEC, hidden_size=32, layers=1, context_length=32)
    write_unit_lm(module, tmp_path / "model", SPEC)
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert (config["offset"], config["vocab_size"], config["model_type"]) == (3, 15, "opt")
    assert (config["pad_token_id"], config["bos_token_id"], config["eos_token_id"]) == (0, 1, 2)
    stated = json.loads((tmp_path / "model" / "units.json").read_text())
    assert UnitSpec(**stated) == SPEC
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "model", dtype=torch.float32).eval()
    ids = torch.arange(3, 15)[None]
    expected = module.eval()(input_ids=ids).logits
    assert torch.allclose(again(input_ids=ids).logits, expected, atol=2e-3)  # float16 on disk


def test_a_warm_start_keeps_the_body_and_renews_the_embeddings(tmp_path):
    config = LlamaConfig(
        vocab_size=50, hidden_size=32, intermediate_size=48, num_hidden_layers=1,
        num_attention_heads=2, max_position_embeddings=40, tie_word_embeddings=False,
    )  # fmt: skip
    text = AutoModelForCausalLM.from_config(config)
    text.save_pretrained(tmp_path / "text")
    warm = warm_unit_lm(tmp_path / "text", SPEC)
    assert warm.get_input_embeddings().weight.shape == (15, 32)
    assert warm.get_output_embeddings().weight.shape == (15, 32)
    name = "model.layers.0.mlp.up_proj.weight"
    assert torch.equal(warm.state_dict()[name], text.state_dict()[name])
    path = train_unit_lm(
        counting(), unit_spec=SPEC, out=tmp_path / "out", warm_start=tmp_path / "text",
        settings=dataclasses.replace(SETTINGS, steps=2), device="cpu",
    )  # fmt: skip
    assert json.loads((path / "config.json").read_text())["model_type"] == "llama"
    with pytest.raises(CheckpointError, match="no causal language model"):
        warm_unit_lm(tmp_path, SPEC)
