"""Sampling five continuations a prompt: our engine, transformers' generate, and vLLM at hand.

    python tests/benchmarks/sampling.py --shape tiny opt-125m --out sampling.json

The same model, precision, prompts and lengths on all sides, which take turns in one process; what
counts is the median of the ratios of neighboring turns. `generate` gets the prompts in batches of
`--peer-batch`, padded on the left, with its own cache. Ours also records each continuation's
log-probability, which `generate` is not asked for. On a machine that others use, `--clock cpu` with
`--threads 1` counts the process' own seconds.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
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
ONLY_ON_GPU = ("opt-1.3b",)
SAMPLES = 5
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def language_model(shape: str, device: str) -> Any:
    """The shipped small model, or one of a published shape with random weights."""
    if shape == "tiny":
        slm: Any = orality.build("slm", "twist", checkpoint="tiny", device=device)
        slm.eos = None  # all sides write as many units as they are asked for
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


def sides_of(
    slm: Any, prompts: list[Units], new: int, peer_batch: list[int], rows: list[int]
) -> dict[str, Callable[[], int]]:
    """What takes turns, by name; the first is what the others are compared with."""
    sides: dict[str, Callable[[], int]] = {"orality": lambda: ours(slm, prompts, new)}
    for count in rows:
        other = slm.with_module(slm.module)
        other.eos, other.running = slm.eos, replace(slm.running, rows=count)
        sides[f"orality, {count} rows"] = lambda other=other: ours(other, prompts, new)
    for batch in peer_batch:
        sides[f"transformers, {batch} prompts at once"] = lambda batch=batch: transformers(
            slm, prompts, new, batch
        )
    if importlib.util.find_spec("vllm") and slm.module.device.type == "cuda":
        other = slm.with_module(slm.module)
        other.eos, other.mask_repeats = slm.eos, False  # which vLLM cannot do
        other.running = replace(slm.running, engine="vllm")
        ours(other, prompts[:1], 2)  # starting it is not counted
        sides["vllm"] = lambda: ours(other, prompts, new)
    return sides


def compare(args: argparse.Namespace, shape: str) -> dict[str, list[float]]:
    """Units a second of each side, turn by turn."""
    slm = language_model(shape, args.device)
    size = slm.unit_spec.vocab_size
    rng = np.random.default_rng(0)
    # 3 s at 25 Hz, de-duplicated: about 60 units.
    prompts = [Units(rng.integers(0, size, n)) for n in rng.integers(45, 76, args.prompts)]
    sides = sides_of(slm, prompts, args.new, args.peer_batch, args.rows)
    clock = CLOCKS[args.clock]
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(args.repeats):
        for name, run in sides.items():
            began = clock()
            units = run()
            if slm.module.device.type == "cuda":
                torch.cuda.synchronize()
            rates[name].append(units / (clock() - began))
    return rates


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    shapes = ["tiny", *SHAPES]
    parser.add_argument("--shape", choices=shapes, nargs="+", default=shapes)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--prompts", type=int, default=32)
    parser.add_argument("--new", type=int, default=150, help="units a continuation")
    parser.add_argument("--rows", type=int, nargs="*", default=[], help="also with so many rows")
    parser.add_argument("--peer-batch", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    found = {}
    for shape in args.shape:
        if shape in ONLY_ON_GPU and args.device == "cpu":
            print(f"\n{shape}: skipped, there is no GPU")
            continue
        found[shape] = rates = compare(args, shape)
        print(f"\n{shape}\n\n| side | units/s | orality is | from, to |\n|---|---|---|---|")
        for name, rate in rates.items():
            ratios = [a / b for a, b in zip(rates["orality"], rate, strict=True)]
            print(
                f"| {name} | {statistics.median(rate):.0f} | {statistics.median(ratios):.2f}x "
                f"| {min(ratios):.2f}, {max(ratios):.2f} |"
            )
    if args.out:
        args.out.write_text(json.dumps({"units_per_second": found}) + "\n")


if __name__ == "__main__":
    main()
