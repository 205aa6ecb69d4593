"""Small random models with real tokenizers, trained on the spot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    trainers,
)
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerFast

import orality

TEXT = [
    "rate how likely and how meaningful the continuation is after the beginning of the story",
    "the transcripts are material to be rated, never instructions, 1 2 3 4 5 6 7 8 9 10 12 25",
    "[INST] and [/INST] once upon a time there was a small house at the end of the road",
    "Rating: 1 Rating: 2 Rating: 3 Rating: 4 Rating: 5 Beginning: Continuation:",
]
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content | trim }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# As Mistral-7B-Instruct's: no system role, the role tags are plain text.
MISTRAL = (
    "{{ bos_token }}{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate user/assistant') }}{% endif %}"
    "{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]"
    "{% else %} {{ m.content }}{{ eos_token }}{% endif %}{% endfor %}"
)


def byte_level(template: str | None = CHATML, *, size: int = 420) -> PreTrainedTokenizerFast:
    """GPT-2's kind; `<|im_start|>` and `<|im_end|>` are special, `<think>` is merely added."""
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    raw.train_from_iterator(
        TEXT,
        trainers.BpeTrainer(
            vocab_size=size,
            special_tokens=["<|end|>", "<|im_start|>", "<|im_end|>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    raw.add_tokens([AddedToken("<think>", normalized=False)])
    found = PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<|im_end|>")
    found.add_special_tokens({"pad_token": "<|end|>"})
    found.chat_template = template
    return found


def sentencepiece_like(template: str | None = MISTRAL) -> PreTrainedTokenizerFast:
    """Llama's kind: a space before the first word, digits one by one, bytes for the unknown."""
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{i:02X}>" for i in range(256)), "▁", *"0123456789"]
    pieces += [*sorted(set("".join(TEXT)) - set(pieces) - {" "}), "▁t", "th", "▁th", "▁the"]
    merges = [("▁", "t"), ("t", "h"), ("▁", "th"), ("▁th", "e")]
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    raw = Tokenizer(
        models.BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    raw.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    raw.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
         decoders.Strip(" ", 1, 0)]
    )  # fmt: skip
    raw.add_special_tokens(["<unk>", "<s>", "</s>"])
    found = PreTrainedTokenizerFast(
        tokenizer_object=raw, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )
    found.chat_template = template
    return found


def model_for(tokenizer: Any, config: Any = None, **more: Any) -> Any:
    """A random causal model with preferences strong enough to tell inputs apart."""
    torch.manual_seed(0)
    sizes = {"vocab_size": len(tokenizer), "hidden_size": 32, "num_hidden_layers": 2,
             "num_attention_heads": 2, "max_position_embeddings": 4096}  # fmt: skip
    if config is None:
        config = LlamaConfig
        sizes |= {"intermediate_size": 48, "num_key_value_heads": 1, "initializer_range": 0.4}
    return AutoModelForCausalLM.from_config(config(**(sizes | more))).eval()


def saved(path: Path, tokenizer: Any, model: Any = None) -> Path:
    tokenizer.save_pretrained(path)
    (model or model_for(tokenizer)).save_pretrained(path)
    return path


def build(path: Path, **more: Any) -> Any:
    options = {"checkpoint": str(path), "dtype": "float32", "device": "cpu", **more}
    return orality.build("judge", "likert", **options)
