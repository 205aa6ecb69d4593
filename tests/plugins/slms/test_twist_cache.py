from __future__ import annotations

import pytest
import torch
from transformers import (
    DynamicCache,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    OPTConfig,
    OPTForCausalLM,
)

from orality_slm_twist.cache import roomy_cache


def opt() -> OPTForCausalLM:
    config = OPTConfig(
        vocab_size=40, hidden_size=32, ffn_dim=64, num_hidden_layers=3, num_attention_heads=4,
        max_position_embeddings=64, word_embed_proj_dim=32, dropout=0.0,
    )  # fmt: skip
    return OPTForCausalLM(config).eval()


def llama() -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=40, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


@pytest.mark.parametrize("model", [opt, llama])
@torch.inference_mode()
def test_a_roomy_cache_gives_what_transformers_own_gives(model) -> None:
    """A prompt, its rows doubled, two steps, some rows taken out, two steps more."""
    torch.manual_seed(0)
    module = model()
    ids = torch.randint(3, 40, (3, 7))
    told = []
    for cache in (DynamicCache(), roomy_cache(module, room=11)):
        found = [module(input_ids=ids, past_key_values=cache, use_cache=True).logits[:, -1]]
        cache.batch_repeat_interleave(2)
        for step, rows in enumerate([6, 6, 4, 4]):
            if step == 2:
                cache.batch_select_indices(torch.tensor([0, 2, 3, 5]))
            next_ids = torch.arange(rows)[:, None] + 5 + step
            found.append(
                module(
                    input_ids=next_ids, past_key_values=cache, use_cache=True,
                    position_ids=torch.full((rows, 1), 7 + step),
                ).logits[:, -1]
            )  # fmt: skip
        assert cache.get_seq_length() == 11
        told.append(torch.cat(found))
    torch.testing.assert_close(told[1], told[0], rtol=0, atol=1e-6)


def test_what_is_written_stays_where_it_is() -> None:
    module = opt()
    cache = roomy_cache(module, room=9)
    with torch.inference_mode():
        module(input_ids=torch.randint(3, 40, (2, 8)), past_key_values=cache, use_cache=True)
        place = cache.layers[0].keys.data_ptr()
        module(input_ids=torch.full((2, 1), 5), past_key_values=cache, use_cache=True)
    assert cache.layers[0].keys.data_ptr() == place
    assert cache.layers[0].keys.shape == (2, 4, 9, 8)


def test_a_model_that_forgets_keeps_transformers_own_cache() -> None:
    sizes = {
        "vocab_size": 40, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2,
    }  # fmt: skip
    assert roomy_cache(MistralForCausalLM(MistralConfig(**sizes, sliding_window=4)), room=9) is None
    assert roomy_cache(MistralForCausalLM(MistralConfig(**sizes, sliding_window=None)), room=9)
    assert roomy_cache(torch.nn.Linear(2, 2), room=9) is None
