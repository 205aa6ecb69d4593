"""How much judging gains from keeping the rubric's keys and values: `python likert.py [FOLDER]`.

Without a folder, a random Llama of some 100 million parameters over bytes. Prints items per second
with the rubric kept and with every question read as a whole, in alternating rounds of one run, and
the largest difference between the scores.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

import orality
from orality import JudgeRequest


def random_folder(path: Path) -> Path:
    """A model of 12 layers of 768 over bytes, with a tokenizer."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    raw = Tokenizer(models.BPE({letter: i for i, letter in enumerate(letters)}, []))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=raw).save_pretrained(path)
    torch.manual_seed(0)
    sizes = {"hidden_size": 768, "intermediate_size": 2048, "num_hidden_layers": 12,
             "num_attention_heads": 12, "max_position_embeddings": 4096}  # fmt: skip
    LlamaForCausalLM(LlamaConfig(vocab_size=len(letters), **sizes)).save_pretrained(path)
    return path


def rate(judge: Any, requests: Sequence[JudgeRequest], *, kept: bool) -> tuple[float, list[float]]:
    """Items per second and the scores."""
    judge._cacheable = kept
    start = time.perf_counter()
    verdicts = judge.score(requests)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return len(requests) / (time.perf_counter() - start), [v.score or 0.0 for v in verdicts]


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?")
    parser.add_argument("--items", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dtype", default="float32")
    options = parser.parse_args(arguments)
    texts = ["there was a small house at the end of the road", "and he went home",
             "she never came back to the town where they had met"]  # fmt: skip
    requests = [
        JudgeRequest(prompt_text="once upon a time", continuation_text=f"{texts[i % 3]} {i}")
        for i in range(options.items)
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = options.folder or random_folder(Path(name))
        judge = orality.build("judge", "likert", checkpoint=str(folder), dtype=options.dtype)
        rate(judge, requests[:2], kept=True)
        rows = [(rate(judge, requests, kept=True), rate(judge, requests, kept=False))
                for _ in range(options.rounds)]  # fmt: skip
    kept, whole = (statistics.median(row[side][0] for row in rows) for side in (0, 1))
    apart = max(abs(a - b) for a, b in zip(rows[0][0][1], rows[0][1][1], strict=True))
    print(f"rubric kept {kept:.2f} items/s, whole questions {whole:.2f} items/s, "
          f"ratio {kept / whole:.2f}, scores differ by {apart:.1e} at most")  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1:])
