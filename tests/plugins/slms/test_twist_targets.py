"""An adapter reaches the projections of every architecture that the documentation names."""

from __future__ import annotations

import json

import pytest
import torch
import transformers

import orality
from orality.training import add_adapter, load_adapter, remove_adapter, save_adapter

SMALL = {"vocab_size": 34, "bos_token_id": 0, "eos_token_id": 1}
LLAMA = {
    **SMALL, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2,
    "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 64,
}  # fmt: skip
GATED = ["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"]
MODELS = {
    "opt": (
        transformers.OPTConfig(
            **SMALL, hidden_size=16, ffn_dim=32, num_hidden_layers=2, num_attention_heads=2,
            word_embed_proj_dim=8, max_position_embeddings=64,
        ),
        ["fc1", "fc2", "k_proj", "out_proj", "q_proj", "v_proj"],
    ),
    "llama": (transformers.LlamaConfig(**LLAMA), GATED),
    "mistral": (transformers.MistralConfig(**LLAMA), GATED),
    "qwen2": (transformers.Qwen2Config(**LLAMA), GATED),
    "gpt2": (
        transformers.GPT2Config(**SMALL, n_embd=16, n_layer=2, n_head=2, n_positions=64),
        ["c_attn", "c_fc", "c_proj"],
    ),
    "gpt_neox": (
        transformers.GPTNeoXConfig(
            **SMALL, hidden_size=16, intermediate_size=32, num_hidden_layers=2,
            num_attention_heads=2, max_position_embeddings=64,
        ),
        ["dense", "dense_4h_to_h", "dense_h_to_4h", "query_key_value"],
    ),
}  # fmt: skip
IDS = torch.tensor([[3, 9, 4, 12, 7, 5]])


@pytest.fixture(params=MODELS)
def named(request, tmp_path):
    config, targets = MODELS[request.param]
    folder = tmp_path / "slm"
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config)
    model.save_pretrained(folder)
    stated = json.loads((folder / "config.json").read_text()) | {"offset": 2}
    (folder / "config.json").write_text(json.dumps(stated))
    units = {"codebook": "own/km32", "vocab_size": 32, "frame_rate": 25.0}
    (folder / "units.json").write_text(json.dumps(units))
    return orality.build("slm", "twist", checkpoint=str(folder), device="cpu"), targets


def logits(slm):
    with torch.no_grad():
        return slm.module(input_ids=IDS).logits


@pytest.mark.filterwarnings("error::UserWarning:peft")
def test_an_adapter_reaches_every_projection_and_is_read_back_whole(named, tmp_path):
    slm, targets = named
    assert sorted(slm.lora_targets) == targets
    before = logits(slm)
    policy = add_adapter(slm, r=2, alpha=4)
    reached = {
        name.split(".lora_A")[0].rpartition(".")[2]
        for name, weight in policy.module.named_parameters()
        if weight.requires_grad and ".lora_A" in name
    }
    assert sorted(reached) == targets
    assert torch.equal(logits(policy), before)
    for name, weight in policy.module.named_parameters():
        if "lora_B" in name:
            weight.data.fill_(0.3)
    adapted = logits(policy)
    assert (adapted - before).abs().max() > 1e-3
    save_adapter(policy, tmp_path / "adapter")
    remove_adapter(policy)
    assert torch.equal(logits(slm), before)
    torch.testing.assert_close(logits(load_adapter(slm, tmp_path / "adapter")), adapted)
