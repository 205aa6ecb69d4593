"""Everything that the model cards of the `tiny` checkpoints state, measured through the public API.

    python tests/benchmarks/embedded_stack.py --speech runs/pretrain-tiny/speech --out figures.json

`--speech`: what `orality pretrain tiny` speaks first; none of the sentences used here is in any
training. Some minutes on two cores. Other checkpoints: `--tokenizer DIR` and so on.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import orality
from orality import Units, Waveform
from orality.evaluation.benchmarks.pairs import BenchmarkPair
from orality.evaluation.journal import Journal
from orality.evaluation.likelihood.accuracy import accuracy, outcomes, score_pairs
from orality.evaluation.likelihood.encoded import spec_name
from orality.evaluation.metrics.wer import character_error_rate, word_error_rate
from orality.evaluation.statistics.intervals import accuracy_interval, bootstrap_interval
from orality.pretraining.data import open_speech
from orality.pretraining.quantizer.phones import phone_inventory, phones_at
from orality.pretraining.quantizer.quality import unit_quality
from orality.pretraining.stories.joining import join
from orality.pretraining.stories.storage import read_corpus, sentence_id

logger = logging.getLogger("embedded_stack")

RATE = 16_000
HOP, FIELD = 640, 720  # samples: frame t hears [640 t, 640 t + 720)
KINDS = ("word", "grammar", "topic", "story")
VOICE, UNHEARD = "hibari", "rms"
TRANSCRIBERS = {"whisper tiny.en": "whisper", "moonshine tiny": "moonshine"}
Figures = dict[str, Any]


def measure_tokenizer(tokenizer: Any, speech: Path, limit: int) -> Figures:
    """Information about phones on the trained voice's new sentences, and on a new voice's."""
    found: Figures = {}
    for name in (f"dev-{VOICE}", f"test-{UNHEARD}"):
        if not (speech / name).is_dir():
            logger.warning("%s is not there: left out", speech / name)
            continue
        utterances = open_speech(speech / name)[:limit]
        inventory = phone_inventory(utterances)
        seconds = sum(item.length for item in utterances) / RATE
        began = time.process_time()
        heard = encode(tokenizer, [Waveform(item.read(), RATE) for item in utterances])
        spent = time.process_time() - began
        frames = [np.repeat(units.ids, units.durations) for units in heard]
        phones = [
            phones_at(item, np.arange(len(ids)) * HOP + FIELD / 2, inventory)
            for item, ids in zip(utterances, frames, strict=True)
        ]
        found[name] = {
            "sentences": len(utterances),
            **unit_quality(frames, phones, seconds).as_dict(),
            "times_real_time": round(seconds / spent, 1),
        }
    return found


def measure_slm(slm: Any, tokenizer: Any, speech: Path, limit: int, cache: Path) -> Figures:
    """Accuracy on test pairs, scores being mean log-probabilities per unit, and those scores.

    `cache`: a file that keeps the pairs' units for the next model.
    """
    found: Figures = {}
    kept = Journal(cache, {"units": spec_name(tokenizer.unit_spec)})
    rows = [json.loads(line) for line in (speech / "pairs.jsonl").read_text().splitlines()]
    sound = Sentences(speech / f"test-{VOICE}")
    for kind in KINDS:
        chosen = [row for row in rows if row["kind"] == kind][:limit]
        units: dict[Path, Units | str] = {}
        pairs = []
        for row in chosen:
            sides = [Path(row["id"], side) for side in ("positive", "negative")]
            if row["id"] not in kept.rows:
                waves = [sound.joined([*row["context"], row[side.name]]) for side in sides]
                heard = [item.ids.tolist() for item in encode(tokenizer, waves)]
                kept.append([{"id": row["id"], "units": heard}])
            units |= zip(sides, map(as_units, kept.rows[row["id"]]["units"]), strict=True)
            cluster = row["group"] if kind == "word" else row["id"]  # a word has several non-words
            pairs.append(BenchmarkPair(row["id"], *sides, row["phenomenon"], cluster))
        with tempfile.TemporaryDirectory() as folder:
            journal = Journal(Path(folder) / "pairs.jsonl", {"kind": kind})
            scores = score_pairs(pairs, units, lambda: slm, journal)
        counted = accuracy(outcomes(pairs, scores, "mean"))
        interval = accuracy_interval(list(counted.means.values()))
        positive = [scores[pair.id]["positive"] for pair in pairs if "positive" in scores[pair.id]]
        tokens = sum(count for _, count in positive)
        found[kind] = {
            "pairs": counted.n,
            "failed": counted.n_failed,
            "accuracy": round(counted.value, 4),
            "low": None if interval is None else round(interval.low, 4),
            "high": None if interval is None else round(interval.high, 4),
            "log_prob_per_unit": round(math.fsum(total for total, _ in positive) / tokens, 4),
            "units_per_text": round(tokens / len(positive), 1),
        }
        logger.info("%s: %s", kind, found[kind])
    return found


def measure_vocoder(vocoder: Any, tokenizer: Any, speech: Path, limit: int) -> Figures:
    """What two transcribers hear in held-out sentences: as recorded, resynthesized, and, so that
    it is known what no speech would give, resynthesized from the same units in random order."""
    sentences = open_speech(speech / f"dev-{VOICE}")[:limit]
    texts = [item.text or "" for item in sentences]
    recorded = [Waveform(item.read(), RATE) for item in sentences]
    heard = [Units(units.ids) for units in encode(tokenizer, recorded)]
    began = time.process_time()
    spoken = in_batches(vocoder.synthesize, heard)
    spent = time.process_time() - began
    rng = np.random.default_rng(0)
    mixed = in_batches(vocoder.synthesize, [Units(rng.permutation(units.ids)) for units in heard])
    said = sum(wave.duration for wave in spoken)
    found: Figures = {
        "sentences": len(sentences),
        "length_ratio": round(said / sum(wave.duration for wave in recorded), 4),
        "times_real_time": round(said / spent, 1),
    }
    for label, name in TRANSCRIBERS.items():
        transcriber = orality.build("transcriber", name)
        for what, waves in {"recorded": recorded, "units": spoken, "shuffled": mixed}.items():
            written = [item.text for item in in_batches(transcriber.transcribe, waves)]
            rates = [word_error_rate([a], [b]).micro for a, b in zip(texts, written, strict=True)]
            interval = bootstrap_interval(rates)
            found.setdefault(label, {})[what] = {
                "wer": round(word_error_rate(texts, written).micro, 4),
                "cer": round(character_error_rate(texts, written).micro, 4),
                "mean_wer": round(math.fsum(rates) / len(rates), 4),
                "low": None if interval is None else round(interval.low, 4),
                "high": None if interval is None else round(interval.high, 4),
            }
            logger.info("%s, %s: %s", label, what, found[label][what])
    return found


class Sentences:
    """Held-out sentences by text, joined as the stories are."""

    def __init__(self, folder: Path) -> None:
        self._corpus = read_corpus(folder)
        self._rows = {row["id"]: row for row in self._corpus.rows}

    def joined(self, texts: Sequence[str]) -> Waveform:
        """The sentences one after the other, a quarter of a second apart."""
        rows = [self._rows[sentence_id(text, VOICE)] for text in texts]
        return Waveform(join([self._corpus.part(row) for row in rows]).samples, RATE)


def as_units(ids: list[int]) -> Units:
    """Units from JSON."""
    return Units.of(ids)


def encode(tokenizer: Any, waves: Sequence[Waveform]) -> list[Units]:
    """De-duplicated units of each waveform."""
    return in_batches(tokenizer.encode, waves)


def in_batches(work: Callable[[Sequence[Any]], list[Any]], items: Sequence[Any]) -> list[Any]:
    """`work` of eight items at a time."""

    def results() -> Iterator[Any]:
        for start in range(0, len(items), 8):
            yield from work(items[start : start + 8])

    return list(results())


def main() -> None:
    """Measure what `--parts` names and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--speech", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("figures.json"))
    parser.add_argument("--limit", type=int, default=600, help="pairs of each kind, sentences")
    parser.add_argument("--sentences", type=int, default=200, help="for the vocoder")
    parts = ["tokenizer", "slm", "vocoder"]
    parser.add_argument("--parts", nargs="+", choices=parts, default=parts)
    for kind in parts:
        parser.add_argument(f"--{kind}", default="tiny")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    tokenizer = orality.build("tokenizer", "hubert", checkpoint=given.tokenizer)
    found: Figures = {}
    for part in given.parts:
        if part == "tokenizer":
            figures = measure_tokenizer(tokenizer, given.speech, given.limit)
        elif part == "slm":
            slm = orality.build("slm", "twist", checkpoint=given.slm)
            cache = given.out.with_suffix(".units.jsonl")
            figures = measure_slm(slm, tokenizer, given.speech, given.limit, cache)
        else:
            vocoder = orality.build("vocoder", "hifigan", checkpoint=given.vocoder)
            sentences = min(given.limit, given.sentences)
            figures = measure_vocoder(vocoder, tokenizer, given.speech, sentences)
        # read anew: another part may be measured at the same time
        found = json.loads(given.out.read_text()) if given.out.is_file() else {}
        found |= {"codebook": tokenizer.unit_spec.codebook, part: figures}
        given.out.write_text(json.dumps(found, indent=2) + "\n")
    sys.stdout.write(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
