"""DPO on unit ids, here and in another library: pairs/s, tokens/s, memory, and equal losses.

    pip install trl==1.16.0
    python tests/benchmarks/dpo.py --peer trl --out dpo.json

Both sides get the same random model, the same adapter, the same pairs in the same order, and the
same numbers of them a step. Each run is a process of its own; the sides take turns, so that a busy
machine troubles both. The peer has its own defaults for speed, except: no activation
checkpointing and the same precision. Lengths are those of Align-SLM: a prompt of 3 s is about 60
units at 25 Hz.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

PROMPT, UNITS = 60, 500
SHAPES: dict[str, dict[str, Any]] = {
    "tiny": {"family": "opt", "hidden": 256, "layers": 4, "heads": 4},
    "opt-125m": {"family": "opt", "hidden": 768, "layers": 12, "heads": 12},
    "opt-1.3b": {"family": "opt", "hidden": 2048, "layers": 24, "heads": 32},
    "llama-7b": {"family": "llama", "hidden": 4096, "layers": 32, "heads": 32},
}
CASES = ("fixed", "varied", "all-pairs")
SIDES = ("orality", "trl")


def build(shape: str, device: str) -> nn.Module:
    """The model of one shape with random weights, over 500 units."""
    from transformers import LlamaConfig, LlamaForCausalLM, OPTConfig, OPTForCausalLM

    sizes = SHAPES[shape]
    common = {
        "vocab_size": UNITS + 4,
        "hidden_size": sizes["hidden"],
        "num_hidden_layers": sizes["layers"],
        "num_attention_heads": sizes["heads"],
        "max_position_embeddings": 1024,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    torch.manual_seed(0)
    if sizes["family"] == "opt":
        wide = {"ffn_dim": 4 * sizes["hidden"], "word_embed_proj_dim": sizes["hidden"]}
        model: nn.Module = OPTForCausalLM(OPTConfig(**common, **wide, dropout=0.0))
    else:
        model = LlamaForCausalLM(LlamaConfig(**common, intermediate_size=11008))
    dtype = torch.float32 if device == "cpu" else torch.bfloat16
    return model.to(device=device, dtype=dtype)


def make_pairs(case: str, count: int) -> list[tuple[int, np.ndarray, np.ndarray, np.ndarray]]:
    """`count` pairs (prompt number, prompt, chosen, rejected), token ids from 3 on."""
    rng = np.random.default_rng(0)

    def draw(length: int) -> np.ndarray:
        return rng.integers(3, UNITS + 3, length)

    def side() -> np.ndarray:
        return draw(150 if case == "fixed" else int(rng.integers(80, 251)))

    if case != "all-pairs":
        return [(i, draw(PROMPT), side(), side()) for i in range(count)]
    pairs = []
    for i in range(count // 4):
        prompt, chosen, rejected = draw(PROMPT), [side(), side()], [side(), side()]
        pairs += [(i, prompt, good, bad) for good in chosen for bad in rejected]
    return pairs


@dataclass(frozen=True)
class UnitLM:
    """Just enough of a SpeechLM to train: token ids are unit ids."""

    module: nn.Module
    context_length: int = 1024
    lora_targets: tuple[str, ...] = ("q_proj", "v_proj")

    @property
    def unit_spec(self) -> Any:
        from orality import UnitSpec

        return UnitSpec("benchmark", UNITS, 25.0)

    def with_module(self, module: nn.Module) -> UnitLM:
        return replace(self, module=module)

    def to_input_ids(self, units: Any) -> torch.Tensor:
        return torch.from_numpy(units.ids)


def run_orality(args: argparse.Namespace) -> dict[str, Any]:
    """Reference, then steps, as `train_dpo` does them."""
    from orality.training import Lora, Settings, policy_fingerprint, read_metrics, train_dpo
    from orality.training.rows.preferences import preference_items
    from orality.types import PreferencePair, Units

    slm: Any = UnitLM(build(args.shape, args.device))
    pairs = [
        PreferencePair(str(i), f"p{prompt}", Units(start), Units(good), Units(bad))
        for i, (prompt, start, good, bad) in enumerate(make_pairs(args.case, args.pairs))
    ]
    stages: dict[str, list[float]] = {}

    def progress(stage: str, done: int, total: int, note: str = "") -> None:
        stages.setdefault(stage, []).append(time.perf_counter())

    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        train_dpo(
            slm, pairs, out=Path(folder), progress=progress, lora=Lora(r=32, alpha=32),
            settings=Settings(
                learning_rate=1e-4, warmup_steps=0, epochs=1, items_per_step=args.per_step,
                max_tokens=args.max_tokens, precision=args.precision, evaluate_every=10**9,
            ),
        )  # fmt: skip
        seconds = time.perf_counter() - began
        metrics = read_metrics(Path(folder) / "metrics.jsonl")
    ends = [stages["reference"][-1], *stages["dpo"]]
    items = preference_items(slm, pairs)
    return {
        "losses": [line["loss"] for line in metrics],
        "norms": [line["gradient_norm"] for line in metrics],
        "step_seconds": np.diff(ends).tolist(),
        "reference_seconds": ends[0] - began,  # with fingerprints of model and data
        "whole_seconds": seconds,
        "order": orders(items, args),
        "tokens": sum(item.group.tokens for item in items),
        "attention": sum(
            (len(i.group.prompt) + len(c)) ** 2 for i in items for c in i.group.continuations
        ),
        "fingerprint": policy_fingerprint(slm)[:12],
    }


def orders(items: Any, args: argparse.Namespace) -> list[list[int]]:
    """Which pairs each step learns from."""
    from orality.training.schedule import epoch

    sizes = tuple(len(item.ids) for item in items)
    steps = epoch(sizes, args.per_step, number=0, seed=0)
    return [[int(name) for index in step for name in items[index].ids] for step in steps]


def run_trl(args: argparse.Namespace) -> dict[str, Any]:
    """The same pairs in the same order through trl's DPOTrainer, its reference computed first."""
    from datasets import Dataset
    from peft import (
        LoraConfig,
        get_peft_model,
        get_peft_model_state_dict,
        set_peft_model_state_dict,
    )
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from torch.utils.data import SequentialSampler
    from transformers import PreTrainedTokenizerFast, TrainerCallback
    from trl import DPOConfig, DPOTrainer

    model = build(args.shape, args.device)
    pairs = make_pairs(args.case, args.pairs)
    order = [index for step in json.loads(args.order) for index in step]
    rows = [
        {"prompt_ids": pairs[i][1].tolist(), "chosen_ids": pairs[i][2].tolist(),
         "rejected_ids": pairs[i][3].tolist()} for i in order
    ]  # fmt: skip
    ends: list[float] = []

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, *a: Any, **k: Any) -> None:
            ends.append(time.perf_counter())

        def on_step_end(self, *a: Any, **k: Any) -> None:
            if args.device != "cpu":
                torch.cuda.synchronize()
            ends.append(time.perf_counter())

    class Tokenized(DPOTrainer):  # type: ignore[misc]
        def _prepare_dataset(self, dataset: Any, *a: Any, **k: Any) -> Any:
            return dataset

        def _get_train_sampler(self, *a: Any, **k: Any) -> Any:
            return SequentialSampler(self.train_dataset)

    words = {f"u{i}": i for i in range(UNITS + 4)}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(WordLevel(words, unk_token="u3")), pad_token="u0",
        bos_token="u1", eos_token="u2",
    )  # fmt: skip
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        trainer = Tokenized(
            model=model, train_dataset=Dataset.from_list(rows), processing_class=tokenizer,
            peft_config=LoraConfig(
                r=32, lora_alpha=32, lora_dropout=0.0, target_modules=["q_proj", "v_proj"],
                bias="none", init_lora_weights=True,
            ),
            args=DPOConfig(
                output_dir=folder, per_device_train_batch_size=args.micro_batch,
                gradient_accumulation_steps=args.per_step // args.micro_batch, learning_rate=1e-4,
                lr_scheduler_type="linear", warmup_steps=0, num_train_epochs=1, logging_steps=1,
                beta=0.1, bf16=args.precision == "bfloat16", gradient_checkpointing=False,
                max_length=1024,
                precompute_ref_log_probs=args.precompute, use_cpu=args.device == "cpu",
                report_to=[], save_strategy="no", disable_tqdm=True, max_grad_norm=1.0,
                weight_decay=0.0, seed=0,
            ),
            callbacks=[Clock()],
        )  # fmt: skip
        # The same adapter to begin with, from the same random numbers.
        with torch.random.fork_rng(devices=[]):
            base = build(args.shape, args.device)
            torch.manual_seed(0)
            same = get_peft_model(base, trainer.model.peft_config["default"])
        set_peft_model_state_dict(trainer.model, get_peft_model_state_dict(same))
        trainer.train()
    rows_of = range(0, len(order), args.micro_batch)
    width = [
        max(
            PROMPT + max(len(pairs[i][2]), len(pairs[i][3]))
            for i in order[b : b + args.micro_batch]
        )
        for b in rows_of
    ]
    return {
        "losses": [line["loss"] for line in trainer.state.log_history if "loss" in line],
        "norms": [line["grad_norm"] for line in trainer.state.log_history if "loss" in line],
        "step_seconds": np.diff(ends).tolist(),
        "reference_seconds": ends[0] - began if args.precompute else 0.0,
        "whole_seconds": ends[-1] - began,
        "tokens": sum(2 * args.micro_batch * tokens for tokens in width),
        "attention": sum(2 * args.micro_batch * tokens**2 for tokens in width),
    }


def matmul_rate(device: str) -> float:
    """FLOP/s of a plain bfloat16 matmul here and now: the best in half a second."""
    size = 1024 if device == "cpu" else 8192
    a, b = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    best, end = float("inf"), time.perf_counter() + 0.5
    while (began := time.perf_counter()) < end:
        _ = a @ b
        if device != "cpu":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - began)
    return 2 * size**3 / best


def side(args: argparse.Namespace) -> None:
    """One run in this process; prints one line of JSON."""
    if args.threads:
        torch.set_num_threads(args.threads)
    before = matmul_rate(args.device)
    found = run_orality(args) if args.side == "orality" else run_trl(args)
    rate = max(before, matmul_rate(args.device))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if args.device != "cpu":
        memory = torch.cuda.max_memory_allocated()
    sizes = SHAPES[args.shape]
    per_layer = 12 if sizes["family"] == "opt" else 4 + 3 * 11008 / 4096
    weights = sizes["layers"] * per_layer * sizes["hidden"] ** 2
    # Forward 2 per weight and token, backward 2 more: the base weights get no gradient. Attention:
    # scores and sum, 2 x 2 x length^2 x hidden forward, twice that backward, half of it causal.
    work = (
        4 * weights * found["tokens"] + 6 * sizes["layers"] * sizes["hidden"] * found["attention"]
    )
    steps = sum(found["step_seconds"])
    found |= {"peak_bytes": memory, "flop": work, "rate": work / steps, "matmul_rate": rate}
    print("RESULT " + json.dumps(found))


KERNELS = {
    "linear layers": ("aten::mm", "aten::addmm"),
    "attention": ("aten::bmm", "aten::baddbmm", "aten::_softmax", "aten::_softmax_backward_data",
                  "aten::cat", "_Attention", "_AttentionBackward"),
    "casts and copies": ("aten::copy_",),
}  # fmt: skip


def where(args: argparse.Namespace, case: str) -> None:
    """Print which kinds of work our own time goes to, reference pass and steps together."""
    args.case = case
    run_orality(args)  # so that the profile sees no first-time costs
    with torch.profiler.profile() as profile:
        run_orality(args)
    spent = {
        event.key: event.self_cpu_time_total
        for event in profile.key_averages()
        if event.key not in ("aten::normal_", "aten::uniform_", "aten::fill_")  # a random model
    }
    whole = sum(spent.values())
    for name, keys in KERNELS.items():
        print(f"{case}: {sum(spent.pop(key, 0) for key in keys) / whole:.0%} {name}")
    print(f"{case}: {sum(spent.values()) / whole:.0%} the rest")


def measure(args: argparse.Namespace, name: str, case: str, **more: str) -> dict[str, Any]:
    """Run one side in a process of its own."""
    command = [sys.executable, __file__, "--side", name, "--case", case]
    for option in (
        "shape",
        "device",
        "pairs",
        "per_step",
        "micro_batch",
        "max_tokens",
        "threads",
        "precision",
    ):
        command += [f"--{option.replace('_', '-')}", str(getattr(args, option))]
    for option, value in more.items():
        command += [f"--{option}", value] if value else [f"--{option}"]
    quiet = {**os.environ, "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=quiet, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if not lines:
        sys.exit(f"{name}, {case}:\n{done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(lines[0].removeprefix("RESULT "))
    return found


def compare(args: argparse.Namespace, case: str) -> dict[str, Any]:
    """Both sides in turn, `repeats` times; medians over all steps but each run's first."""
    runs: dict[str, list[dict[str, Any]]] = {"orality": [], "trl": [], "trl, reference in step": []}
    for _ in range(args.repeats):
        runs["orality"].append(measure(args, "orality", case))
        if args.peer:
            order = json.dumps(runs["orality"][-1]["order"])
            runs["trl"].append(measure(args, "trl", case, order=order, precompute=""))
            runs["trl, reference in step"].append(measure(args, "trl", case, order=order))
    rows = {}
    for name, found in runs.items():
        if not found:
            continue
        step = statistics.median(s for run in found for s in run["step_seconds"][1:])
        reference = statistics.median(run["reference_seconds"] for run in found)
        count = len(found[0]["step_seconds"])
        rows[name] = {
            "pairs_per_second": args.per_step / step,
            "with_reference": args.per_step / (step + reference / count),
            "tokens_per_second": found[0]["tokens"] / count / step,
            "peak_gb": statistics.median(run["peak_bytes"] for run in found) / 1e9,
            "gflop_per_pair": found[0]["flop"] / args.pairs / 1e9,
            "of_matmul": statistics.median(run["rate"] / run["matmul_rate"] for run in found),
            "losses": found[0]["losses"],
            "gradient_norms": found[0]["norms"],
        }
    result: dict[str, Any] = {"case": case, "sides": rows}
    if "trl" in rows:
        ours, theirs, inside = rows["orality"], rows["trl"], rows["trl, reference in step"]
        result["ratios"] = {
            "reference stored": ours["pairs_per_second"] / theirs["pairs_per_second"],
            "reference computed": ours["with_reference"]
            / max(theirs["with_reference"], inside["pairs_per_second"]),
            "limit by FLOP, stored": theirs["gflop_per_pair"] / ours["gflop_per_pair"],
            "peak memory": ours["peak_gb"] / theirs["peak_gb"],
        }
        gaps = zip(ours["losses"], theirs["losses"], strict=True)
        result["largest_loss_difference"] = max(abs(a - b) for a, b in gaps)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--peer", choices=["trl"], help="compare with this library")
    parser.add_argument("--shape", choices=SHAPES, default="opt-125m")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=CASES)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--pairs", type=int, default=32)
    parser.add_argument("--per-step", type=int, default=8)
    parser.add_argument("--micro-batch", type=int, default=8, help="of the peer")
    parser.add_argument("--max-tokens", type=int, help="of a row; 1536 on a CPU, else 16384")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--precision", choices=["bfloat16", "float32"], default="bfloat16")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--where", action="store_true", help="say what our own time goes to")
    parser.add_argument("--out", type=Path)
    # For one run in a process of its own:
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--case", choices=CASES, help=argparse.SUPPRESS)
    parser.add_argument("--order", help=argparse.SUPPRESS)
    parser.add_argument("--precompute", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.max_tokens is None:
        args.max_tokens = 1536 if args.device == "cpu" else 16384
    if args.side:
        side(args)
        return
    if args.where:
        for case in args.cases:
            where(args, case)
        return
    results = []
    print(
        "| case | side | pairs/s | with reference | tokens/s | peak GB | GFLOP/pair | of matmul |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for case in args.cases:
        results.append(compare(args, case))
        for name, row in results[-1]["sides"].items():
            print(
                f"| {case} | {name} | {row['pairs_per_second']:.2f} | {row['with_reference']:.2f} "
                f"| {row['tokens_per_second']:.0f} | {row['peak_gb']:.2f} "
                f"| {row['gflop_per_pair']:.0f} | {row['of_matmul']:.0%} |",
                flush=True,
            )
    for result in results:
        if "ratios" in result:
            ratios = ", ".join(f"{name} {value:.2f}x" for name, value in result["ratios"].items())
            gap = result["largest_loss_difference"]
            print(f"{result['case']}: {ratios}; losses differ by at most {gap:.1e}")
    if args.out:
        args.out.write_text(json.dumps({"shape": args.shape, "results": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
