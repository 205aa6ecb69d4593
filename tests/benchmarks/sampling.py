"""Sampling five continuations a prompt: our engine, and transformers' generate.

    python tests/benchmarks/sampling.py --shape tiny --out sampling.json

The same model, precision, prompts and lengths on both sides, which take turns in one process.
`generate` gets the prompts in batches of `--peer-batch`, padded on the left, with its own cache.
Ours also records each continuation's log-probability, which the peer is not asked for.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

import orality
from orality import SamplingOptions, Units, UnitSpec

SHAPES: dict[str, dict[str, int]] = {
    "opt-125m": {"hidden": 768, "layers": 12, "heads": 12},
    "opt-1.3b": {"hidden": 2048, "layers": 24, "heads": 32},
}
SAMPLES = 5


def language_model(shape: str, device: str) -> Any:
    """The shipped small model, or one of a published shape with random weights."""
    if shape == "tiny":
        slm: Any = orality.build("slm", "twist", checkpoint="tiny", device=device)
        slm.eos = None  # both sides write as many units as they are asked for
        return slm
    from transformers import OPTConfig, OPTForCausalLM

    from orality_slm_twist.slm import TwistLM

    sizes = SHAPES[shape]
    torch.manual_seed(0)
    config = OPTConfig(
        vocab_size=502, hidden_size=sizes["hidden"], num_hidden_layers=sizes["layers"],
        num_attention_heads=sizes["heads"], ffn_dim=4 * sizes["hidden"],
        word_embed_proj_dim=sizes["hidden"], max_position_embeddings=1024, dropout=0.0,
        pad_token_id=0, bos_token_id=1, eos_token_id=None,
    )  # fmt: skip
    dtype = torch.float32 if device == "cpu" else torch.bfloat16
    module = OPTForCausalLM(config).eval().to(device=device, dtype=dtype)
    return TwistLM(module, unit_spec=UnitSpec("benchmark/km500", 500, 25.0), offset=2)


def ours(slm: Any, prompts: list[Units], new: int) -> int:
    """Units that our engine writes."""
    found = slm.generate(
        prompts, num_samples=SAMPLES, max_new_units=new, seeds=range(len(prompts)),
        sampling=SamplingOptions(temperature=1.0, top_p=1.0),
    )  # fmt: skip
    return sum(len(sample.units) for samples in found for sample in samples)


def transformers(slm: Any, prompts: list[Units], new: int, batch: int) -> int:
    """Units that transformers' generate writes."""
    written = 0
    for start in range(0, len(prompts), batch):
        rows = [slm.to_input_ids(units) for units in prompts[start : start + batch]]
        longest = max(map(len, rows))
        ids = torch.zeros(len(rows), longest, dtype=torch.int64)
        mask = torch.zeros_like(ids)
        for row, tokens in enumerate(rows):
            ids[row, longest - len(tokens) :] = tokens
            mask[row, longest - len(tokens) :] = 1
        device = slm.module.device
        output = slm.module.generate(
            input_ids=ids.to(device), attention_mask=mask.to(device), do_sample=True,
            num_return_sequences=SAMPLES, max_new_tokens=new, min_new_tokens=new, temperature=1.0,
            top_k=0, top_p=1.0, pad_token_id=0, eos_token_id=None,
        )  # fmt: skip
        written += (output.shape[1] - longest) * len(output)
    return written


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--shape", choices=["tiny", *SHAPES], default="tiny")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--prompts", type=int, default=32)
    parser.add_argument("--new", type=int, default=150, help="units a continuation")
    parser.add_argument("--peer-batch", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    slm = language_model(args.shape, args.device)
    size = slm.unit_spec.vocab_size
    rng = np.random.default_rng(0)
    # 3 s at 25 Hz, de-duplicated: about 60 units.
    prompts = [Units(rng.integers(0, size, n)) for n in rng.integers(45, 76, args.prompts)]
    sides: dict[str, Callable[[], int]] = {"orality": lambda: ours(slm, prompts, args.new)}
    for batch in args.peer_batch:
        sides[f"transformers, {batch} prompts at once"] = lambda batch=batch: transformers(
            slm, prompts, args.new, batch
        )
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(args.repeats):
        for name, run in sides.items():
            began = time.perf_counter()
            units = run()
            rates[name].append(units / (time.perf_counter() - began))
    medians = {name: statistics.median(found) for name, found in rates.items()}
    print("| side | units/s | orality is |\n|---|---|---|")
    for name, rate in medians.items():
        print(f"| {name} | {rate:.0f} | {medians['orality'] / rate:.2f}x |")
    if args.out:
        args.out.write_text(json.dumps({"shape": args.shape, "units_per_second": rates}) + "\n")


if __name__ == "__main__":
    main()
