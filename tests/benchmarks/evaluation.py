"""How much packing gains when pairs are scored: `python evaluation.py [KIND ...]`.

For each kind of benchmark, the shipped recordings are encoded by the shipped tokenizer, and pairs
are drawn from them, their units renamed at random each time: lengths and common beginnings stay as
recorded, no two pairs are the same. `prompted` are stories of which the beginning was encoded
apart from both endings, as prompts and continuations are; whole recordings have far fewer units in
common than they have sound, because a tokenizer hears all of a recording at once.

In alternating rounds of one run, the shipped language model scores the pairs packed; each member as
a row of its own, padded to the longest of its batch in the order of the data (the usual way); and
each member as a row of its own in batches of like lengths.

Prints seconds, the ratios to the first, and by how much the scores differ at most.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

import orality
from orality import SpeechLM, Units
from orality.evaluation import find_benchmark
from orality.evaluation.likelihood.encoded import units_of_files
from orality.evaluation.likelihood.packed_scoring import Pair, log_likelihoods, packed_tokens

KINDS = ("swuggy", "sblimp", "tstorycloze", "sstorycloze", "prompted")
PROMPT = 0.65  # of a shipped story's sound is common to both endings
Scores = list[tuple[float, float]]


def draw(kind: str, count: int, vocabulary: int) -> list[Pair]:
    """`count` pairs like the shipped ones of a kind."""
    shipped = "sstorycloze" if kind == "prompted" else kind
    source = find_benchmark(f"stories/{shipped}").read()
    files = [path for pair in source for path in (pair.positive, pair.negative)]
    with tempfile.TemporaryDirectory() as folder:
        tokenizer = orality.build("tokenizer", "hubert", checkpoint="tiny")
        units = units_of_files(files, tokenizer, cache=Path(folder) / "units.jsonl")
    rng = np.random.default_rng(0)
    pairs = []
    for index in rng.integers(0, len(source), size=count):
        names = rng.permutation(vocabulary)
        first, second = (units[path] for path in (source[index].positive, source[index].negative))
        assert isinstance(first, Units)
        assert isinstance(second, Units)
        ids, others = names[first.ids], names[second.ids]
        if kind == "prompted":
            prompt = ids[: round(PROMPT * len(ids))]
            others = np.concatenate([prompt, others[round(PROMPT * len(others)) :]])
        pairs.append((Units(ids), Units(others)))
    return pairs


@torch.inference_mode()
def padded(slm: SpeechLM, pairs: Sequence[Pair], rows: int) -> Scores:
    """Every member as its own row, `rows` in a batch, padded, in the order of the data."""
    module = slm.module.eval()
    members = [slm.to_input_ids(units) for pair in pairs for units in pair]
    totals: list[float] = []
    for start in range(0, len(members), rows):
        batch = members[start : start + rows]
        ids = torch.nn.utils.rnn.pad_sequence(batch, batch_first=True)
        lengths = torch.tensor([len(row) for row in batch])
        mask = (torch.arange(ids.shape[1])[None] < lengths[:, None]).long()
        logits = module(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, :-1]
        scores = logits.float().log_softmax(-1).gather(-1, ids[:, 1:, None])[..., 0].double()
        totals += (scores * mask[:, 1:]).sum(1).tolist()
    return list(zip(totals[::2], totals[1::2], strict=True))


def like_lengths(slm: SpeechLM, pairs: Sequence[Pair]) -> Scores:
    """Every member as its own row among rows of like lengths."""
    totals = slm.log_likelihood([units for pair in pairs for units in pair])
    return list(zip(totals[::2], totals[1::2], strict=True))


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", default=list(KINDS), metavar="KIND")
    parser.add_argument("--pairs", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--rows", type=int, default=32, help="padded rows in a batch")
    parser.add_argument("--max-tokens", type=int, default=2048, help="places in a packed row")
    options = parser.parse_args(arguments)
    slm = orality.build("slm", "twist", checkpoint="tiny")
    ways: list[Callable[[Sequence[Pair]], Scores]] = [
        lambda pairs: log_likelihoods(slm, pairs, max_tokens=options.max_tokens),
        lambda pairs: padded(slm, pairs, options.rows),
        lambda pairs: like_lengths(slm, pairs),
    ]
    for kind in options.kinds:
        pairs = draw(kind, options.pairs, slm.unit_spec.vocab_size)
        lengths = [len(units) for pair in pairs for units in pair]
        shared = 1 - sum(map(packed_tokens, pairs)) / sum(lengths)
        for way in ways:
            way(pairs[:64])
        seconds: list[list[float]] = [[] for _ in ways]
        scores = []
        for _ in range(options.rounds):
            scores = []
            for way, times in zip(ways, seconds, strict=True):
                start = time.perf_counter()
                scores.append(np.array(way(pairs)))
                times.append(time.perf_counter() - start)
        packed, usual, sorted_ = map(statistics.median, seconds)
        apart = max(float(np.abs(scores[0] - other).max()) for other in scores[1:])
        print(
            f"{kind}: {len(pairs)} pairs, {np.mean(lengths):.0f} units on average (up to "
            f"{max(lengths)}), {shared:.0%} saved by common beginnings; packed {packed:.2f} s, "
            f"padded {usual:.2f} s ({usual / packed:.2f} x), of like lengths {sorted_:.2f} s "
            f"({sorted_ / packed:.2f} x); scores differ by {apart:.1e} nats at most",
            flush=True,
        )


if __name__ == "__main__":
    main(sys.argv[1:])
