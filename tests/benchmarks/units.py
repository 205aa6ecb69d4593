"""Speech to units and back, here and as slamkit does it: seconds of speech per second.

    pip install scikit-learn
    python tests/benchmarks/units.py --stage tokenize vocode --out units.json

Both sides get the same random encoder of HuBERT base's shape, the same 500 centroids, the same
recordings and the same threads, and take turns, so that a busy machine slows both. The best round
of each counts, since what else runs can only add to it; all rounds and the processor time are kept.

slamkit's way (its feature_extractor/hubert_feature_extractor.py, written anew here): recordings one
by one through all layers of transformers' HubertModel with `output_hidden_states`, 40 zeros on
either side, features to numpy, scikit-learn's `KMeans.predict`, repeats merged by itertools. Its
units differ from ours by that padding; a third run without it, outside the timing, must give our
units exactly. Its way back (textlesslib's vocoder): items one by one through a generator whose
weight norm is computed anew at every call; samples count as equal within 1e-4 of the loudest.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from transformers import HubertConfig, HubertModel

import orality
from orality import Units, Waveform

logger = logging.getLogger("units")

RATE = 16_000
Row = dict[str, Any]
SHAPES = {
    # name: layer that slamkit's configuration takes, what differs from HubertConfig's defaults
    "hubert-base": (9, {}),
    "mhubert-base-25hz": (
        11,
        {
            "conv_dim": [512] * 8,
            "conv_stride": [5, 2, 2, 2, 2, 2, 2, 2],
            "conv_kernel": [10, 3, 3, 3, 3, 2, 2, 2],
            "conv_pos_batch_norm": True,
        },
    ),
}

GENERATOR: dict[str, Any] = {
    "model_in_dim": 128,
    "sampling_rate": RATE,
    "upsample_initial_channel": 512,
    "upsample_rates": [5, 4, 4, 4, 2],
    "upsample_kernel_sizes": [11, 8, 8, 8, 4],
    "resblock_kernel_sizes": [3, 7, 11],
    "resblock_dilation_sizes": [[1, 3, 5]] * 3,
    "normalize_before": False,
    "leaky_relu_slope": 0.1,
}


def lengths(mix: str, count: int, rng: np.random.Generator) -> list[int]:
    """Samples of each recording. `prompts`: three seconds each, as continuations are sampled from.
    `utterances`: log-normal around five seconds, 1 to 20, as audiobooks cut at pauses have them."""
    if mix == "prompts":
        return [3 * RATE] * count
    seconds = np.clip(rng.lognormal(np.log(5.0), 0.7, count), 1.0, 20.0)
    return [int(value * RATE) for value in seconds]


def recordings(mix: str, count: int, seed: int = 0) -> list[Waveform]:
    """Filtered noise whose loudness moves at the rate of syllables."""
    rng = np.random.default_rng(seed)
    made = []
    for length in lengths(mix, count, rng):
        noise = np.convolve(rng.standard_normal(length), np.hanning(9), mode="same")
        envelope = 0.55 + 0.45 * np.sin(2 * np.pi * 4 * np.arange(length) / RATE + rng.random())
        made.append(Waveform((0.05 * noise * envelope).astype(np.float32), RATE))
    return made


def take_turns(
    sides: dict[str, Callable[[], object]], rounds: int, seconds: float
) -> dict[str, Row]:
    """`rounds` times in turn, each after a run that does not count: the other side's shapes push
    this one's out of oneDNN's cache, which they would not in use. Seconds of speech per second."""
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, run in sides.items():
            run()
            wall, processor = time.perf_counter(), time.process_time()
            run()
            spent[name].append((time.perf_counter() - wall, time.process_time() - processor))
            logger.info("%s: %.2f s, processor %.2f s", name, *spent[name][-1])
    return {
        name: {
            "seconds": [round(wall, 3) for wall, _ in values],
            "processor_seconds": [round(processor, 3) for _, processor in values],
            "times_real_time": round(seconds / min(wall for wall, _ in values), 2),
        }
        for name, values in spent.items()
    }


def tokenize(given: argparse.Namespace) -> list[Row]:
    """Every shape with every mix of lengths."""
    rows = []
    for shape in given.shapes:
        with tempfile.TemporaryDirectory() as folder:
            layer = random_encoder(Path(folder), shape)
            peer = Peer(Path(folder), layer)
            table = some_centroids(peer.features(recordings("utterances", 24, seed=1)))
            save_file({"centroids": table}, f"{folder}/km.safetensors", {"layer": str(layer)})
            peer.use(table.numpy())
            tokenizer = orality.build(
                "tokenizer", "hubert", checkpoint=folder, kmeans=f"{folder}/km.safetensors",
                device=given.device,
            )  # fmt: skip
        for mix in given.mixes:
            waves = recordings(mix, given.count)
            speech = sum(wave.duration for wave in waves)
            units = [item.ids.tolist() for item in tokenizer.encode(waves)]
            exact = units == [peer.units(wave, padding=0) for wave in waves]
            sides = {
                "orality": partial(tokenizer.encode, waves),
                "slamkit's way": partial(peer.all_units, waves),
            }
            found = take_turns(sides, given.rounds, speech)
            rows.append(
                {
                    "stage": "tokenize", "shape": shape, "layer": layer, "mix": mix,
                    "recordings": len(waves), "speech_seconds": round(speech, 1),
                    "equal": exact,
                    "faster": round(
                        found["orality"]["times_real_time"]
                        / found["slamkit's way"]["times_real_time"], 2,
                    ),
                    "sides": found,
                }
            )  # fmt: skip
    return rows


def random_encoder(folder: Path, shape: str) -> int:
    """A random encoder of a published shape as a transformers folder; returns its layer."""
    layer, changes = SHAPES[shape]
    torch.manual_seed(0)
    HubertModel(HubertConfig(**changes)).save_pretrained(folder)
    return layer


def some_centroids(features: torch.Tensor, count: int = 500) -> torch.Tensor:
    """`count` frames with a little noise: units that recordings really use."""
    draw = torch.Generator().manual_seed(0)
    chosen = features[torch.randperm(len(features), generator=draw)[:count]]
    noise = torch.randn(chosen.shape, generator=draw)
    return (chosen + 0.05 * chosen.std() * noise).contiguous()


class Peer:
    """slamkit's way from a waveform to de-duplicated units."""

    def __init__(self, folder: Path, layer: int) -> None:
        self._model = HubertModel.from_pretrained(folder).eval()
        self._layer = layer
        self._kmeans: Any = None

    def use(self, table: np.ndarray) -> None:
        """A fitted scikit-learn k-means with these centroids."""
        from sklearn.cluster import KMeans

        self._kmeans = KMeans(n_clusters=len(table), init=table, n_init=1, max_iter=1).fit(table)
        self._kmeans.cluster_centers_ = np.ascontiguousarray(table)  # without fitting's rounding

    @torch.inference_mode()
    def units(self, wave: Waveform, padding: int = 40) -> list[int]:
        samples = F.pad(torch.from_numpy(wave.samples)[None], (padding, padding))
        states = self._model(samples, output_hidden_states=True).hidden_states
        features = states[self._layer].cpu().numpy()
        found = self._kmeans.predict(features.reshape(-1, features.shape[-1]))
        return [unit for unit, _ in ((k, len(list(g))) for k, g in groupby(found.tolist()))]

    def all_units(self, waves: Sequence[Waveform]) -> list[list[int]]:
        return [self.units(wave) for wave in waves]

    @torch.inference_mode()
    def features(self, waves: Sequence[Waveform]) -> torch.Tensor:
        found = []
        for wave in waves:
            samples = torch.from_numpy(wave.samples)[None]
            states = self._model(samples, output_hidden_states=True).hidden_states
            found.append(states[self._layer][0])
        return torch.cat(found)


def vocode(given: argparse.Namespace) -> list[Row]:
    """Units of prompts' and continuations' lengths, each unit a frame."""
    from transformers import SpeechT5HifiGan, SpeechT5HifiGanConfig

    torch.manual_seed(0)
    body = SpeechT5HifiGan(SpeechT5HifiGanConfig(**GENERATOR)).eval().requires_grad_(False)
    table = torch.randn(500, GENERATOR["model_in_dim"])
    with tempfile.TemporaryDirectory() as folder:
        state = {name.replace("upsampler.", "ups."): w for name, w in body.state_dict().items()}
        state = {name: w for name, w in state.items() if name not in ("mean", "scale")}
        save_file(state | {"dict.weight": table}, f"{folder}/generator.safetensors")
        config = GENERATOR | {"num_embeddings": 500, "embedding_dim": GENERATOR["model_in_dim"]}
        Path(folder, "config.json").write_text(json.dumps(config))
        vocoder = orality.build(
            "vocoder", "hifigan", checkpoint=folder, predict_durations=False, device=given.device
        )
    body.apply_weight_norm()
    body.to(given.device)
    table = table.to(given.device)

    @torch.inference_mode()
    def one_by_one(items: Sequence[Units]) -> list[np.ndarray]:
        ids = [torch.from_numpy(units.ids).to(given.device) for units in items]
        return [body(table[one][None])[0].cpu().numpy() for one in ids]

    rows = []
    for mix, (low, high) in {"continuations": (80, 251), "short": (10, 40)}.items():
        rng = np.random.default_rng(0)
        items = [Units(rng.integers(0, 500, n)) for n in rng.integers(low, high, given.count)]
        apart = [
            float(np.abs(ours.samples - theirs).max() / np.abs(theirs).max())
            for ours, theirs in zip(vocoder.synthesize(items), one_by_one(items), strict=True)
        ]
        sides = {
            "orality": partial(vocoder.synthesize, items),
            "slamkit's way": partial(one_by_one, items),
        }
        speech = sum(len(units) for units in items) / 25
        found = take_turns(sides, given.rounds, speech)
        rows.append(
            {
                "stage": "vocode", "shape": "hifigan 25 Hz", "mix": mix, "recordings": len(items),
                "speech_seconds": round(speech, 1), "largest_difference": max(apart),
                "equal": max(apart) <= 1e-4,
                "faster": round(
                    found["orality"]["times_real_time"]
                    / found["slamkit's way"]["times_real_time"], 2,
                ),
                "sides": found,
            }
        )  # fmt: skip
    return rows


STAGES: dict[str, Callable[[argparse.Namespace], list[Row]]] = {
    "tokenize": tokenize,
    "vocode": vocode,
}


def show(rows: list[Row]) -> str:
    """One line per comparison."""
    lines = ["| stage | shape | mix | side | x real time | faster | equal |", "|" + "--|" * 7]
    for row in rows:
        for number, (side, found) in enumerate(row["sides"].items()):
            faster = f"{row['faster']:.2f}" if number == 0 else ""
            equal = str(row["equal"]) if number == 0 else ""
            lines.append(
                f"| {row['stage']} | {row['shape']} | {row['mix']} | {side} | "
                f"{found['times_real_time']:.2f} | {faster} | {equal} |"
            )
    return "\n".join(lines)


def main() -> None:
    """Run the stages and write what they found as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stage", choices=STAGES, nargs="+", default=list(STAGES))
    parser.add_argument("--shapes", choices=SHAPES, nargs="+", default=list(SHAPES))
    parser.add_argument("--mixes", nargs="+", default=["utterances", "prompts"])
    parser.add_argument("--count", type=int, default=24, help="recordings of each mix")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, help="torch's; its own choice without")
    parser.add_argument("--out", type=Path, default=Path("units.json"))
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    if given.threads:
        torch.set_num_threads(given.threads)
    rows = [row for stage in given.stage for row in STAGES[stage](given)]
    machine = {
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "device": given.device,
    }
    given.out.write_text(json.dumps({"machine": machine, "rows": rows}, indent=2) + "\n")
    print(show(rows))


if __name__ == "__main__":
    main()
