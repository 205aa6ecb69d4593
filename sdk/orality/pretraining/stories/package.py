"""The shipped data: prompts for alignment, and benchmarks in their official layouts."""

from __future__ import annotations

import csv
import json
import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import soundfile

from orality.pretraining.stories.build import MAIN_VOICE, PAIRS, StoryPaths, pair_id, write_pairs
from orality.pretraining.stories.grammar import Story
from orality.pretraining.stories.joining import Part, join
from orality.pretraining.stories.pairs import Pair
from orality.pretraining.stories.phones import PAUSE
from orality.pretraining.stories.plan import Plan
from orality.pretraining.stories.speech import RATE, plain_words
from orality.pretraining.stories.storage import Row, SpokenCorpus, read_corpus, sentence_id

Speak = Callable[[str], Part]
Format = Literal["ogg", "flac"]
# libsndfile's scale for Opus: about 12 kbit/s, which keeps a story below 15 kB.
_OPUS_LEVEL = 0.975
_PROMPT_SPLITS: Mapping[str, int] = {"train": 300, "dev": 60, "test": 60}
_PAIR_COUNTS: Mapping[str, int] = {"word": 200, "grammar": 200, "topic": 100, "story": 100}


def write_speech(path: Path, part: Part, format: Format) -> Path:
    """Write 16 kHz mono speech beside `path` with the format's suffix; returns the file."""
    path = path.with_suffix(f".{format}")
    path.parent.mkdir(parents=True, exist_ok=True)
    if format == "ogg":
        soundfile.write(path, part.samples, RATE, subtype="OPUS", compression_level=_OPUS_LEVEL)
    else:
        soundfile.write(path, part.samples, RATE, subtype="PCM_16")
    return path


def write_prompts(
    folder: Path,
    stories: Sequence[Story],
    speak: Speak,
    *,
    format: Format = "ogg",
    seconds: tuple[float, float] = (7.0, 11.5),
    splits: Mapping[str, int],
) -> int:
    """Write stories that last `seconds` as a corpus with `manifest.jsonl`; returns their count.

    `splits` gives how many go to each split, in order; stories of the wrong length are left out.
    """
    names = [name for name, count in splits.items() for _ in range(count)]
    rows: list[dict[str, Any]] = []
    for story in stories:
        if len(rows) == len(names):
            break
        part = join([speak(line.text) for line in story.lines])
        if not seconds[0] <= part.seconds <= seconds[1]:
            continue
        name = f"story-{len(rows):04d}"
        file = write_speech(folder / "audio" / name, part, format)
        rows.append(
            {"id": name, "audio": f"audio/{file.name}", "text": part.text,
             "words": [[w, s, e] for w, s, e in part.words],
             "language": "en", "split": names[len(rows)]}
        )  # fmt: skip
    _write_lines(folder / "manifest.jsonl", rows)
    return len(rows)


def write_benchmarks(
    folder: Path,
    pairs: Sequence[Pair],
    speak: Speak,
    *,
    counts: Mapping[str, int],
    sentences: int,
    frequency: Mapping[str, int],
    format: Format = "ogg",
    seed: int = 0,
) -> None:
    """Write sWUGGY, sBLIMP and both StoryClozes from the pairs.

    `counts` says how many pairs of each kind are spoken. Stories have `sentences` sentences: the
    first, the last ones before the ending, and the ending. `frequency` counts a word in training.
    """
    numbered = [(pair_id(pairs, i), pair) for i, pair in enumerate(pairs)]
    random.Random(seed).shuffle(numbered)
    for kind, name in (("topic", "tstorycloze"), ("story", "sstorycloze")):
        chosen = _chosen(numbered, kind, counts)
        _write_endings(folder / name, chosen, speak, sentences, format)
    _write_gold(
        folder / "swuggy" / "lexical" / "dev", _chosen(numbered, "word", counts), speak, format,
        lambda pair, text, correct: _lexical_row(pair, text, correct, frequency, speak),
    )  # fmt: skip
    _write_gold(
        folder / "sblimp" / "syntactic" / "dev", _chosen(numbered, "grammar", counts),
        speak, format, lambda pair, text, _: _syntactic_row(pair, text),
    )  # fmt: skip


def word_frequency(texts: Iterable[str]) -> Counter[str]:
    """How often each word of the texts occurs, in lower case."""
    return Counter(w.lower() for text in texts for w in plain_words(text))


def _chosen(
    numbered: Sequence[tuple[str, Pair]], kind: str, counts: Mapping[str, int]
) -> list[tuple[str, Pair]]:
    """The pairs of a kind, those of new groups and phenomena first."""
    seen: Counter[tuple[str, str]] = Counter()
    ranked: list[tuple[int, int, tuple[str, Pair]]] = []
    for place, (name, pair) in enumerate(numbered):
        if pair.kind == kind:
            key = (pair.group, pair.phenomenon)
            ranked.append((seen[key], place, (name, pair)))
            seen[key] += 1
    return [item for _, _, item in sorted(ranked, key=lambda r: r[:2])[: counts[kind]]]


def _write_endings(
    folder: Path, pairs: Iterable[tuple[str, Pair]], speak: Speak, sentences: int, format: Format
) -> None:
    for name, pair in pairs:
        middle = pair.context[1:]
        context = (pair.context[0], *middle[len(middle) - (sentences - 2) :])
        number = name.rpartition("-")[2]
        for file_id, (label, ending) in enumerate(
            (("correct", pair.positive), ("incorrect", pair.negative))
        ):
            part = join([speak(text) for text in (*context, ending)])
            path = folder / f"{2 * int(number) + file_id}_{number}_{label}"
            write_speech(path, part, format)
            path.with_suffix(".txt").write_text(part.text + "\n", encoding="utf-8")


def _write_gold(
    folder: Path,
    pairs: Sequence[tuple[str, Pair]],
    speak: Speak,
    format: Format,
    columns: Callable[[Pair, str, int], dict[str, Any]],
) -> None:
    rows: list[dict[str, Any]] = []
    for number, (_, pair) in enumerate(pairs):
        for correct, text in ((1, pair.positive), (0, pair.negative)):
            part = join([speak(text)])
            stem = f"{pair.kind}-{number:04d}-{'good' if correct else 'bad'}"
            write_speech(folder / stem, part, format)
            rows.append(
                {"filename": stem, "id": number, "voice": MAIN_VOICE,
                 **columns(pair, part.text, correct), "correct": correct}
            )  # fmt: skip
    with (folder / "gold.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _lexical_row(
    pair: Pair, text: str, correct: int, frequency: Mapping[str, int], speak: Speak
) -> dict[str, Any]:
    """sWUGGY's columns: the phones are those of the word without its carrier."""
    part = speak(pair.positive if correct else pair.negative)
    _, start, end = part.words[-1]
    phones = [
        n for n, s, e in part.phones if n != PAUSE and (s + e) / 2 > start and (s + e) / 2 < end
    ]
    return {
        "frequency": frequency.get(pair.group, 0),
        "word": plain_words(text)[-1].lower(),
        "phones": " ".join(phones),
        "length": len(phones),
    }


def _syntactic_row(pair: Pair, text: str) -> dict[str, Any]:
    return {"type": pair.phenomenon, "subtype": pair.phenomenon, "transcription": text}


def _write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), encoding="utf-8"
    )


def write_data(
    out: Path,
    plan: Plan,
    paths: StoryPaths,
    *,
    splits: Mapping[str, int] = _PROMPT_SPLITS,
    counts: Mapping[str, int] = _PAIR_COUNTS,
    sentences: int = 3,
    format: Format = "ogg",
) -> None:
    """Write `prompts/` and `benchmarks/` below `out` from a plan and its speech."""
    known: dict[str, tuple[SpokenCorpus, Row]] = {}
    for part in ("prompt", "test"):
        corpus = read_corpus(paths.speech[part, MAIN_VOICE])
        known.update((row["id"], (corpus, row)) for row in corpus.rows)

    def speak(text: str) -> Part:
        corpus, row = known[sentence_id(text, MAIN_VOICE)]
        return corpus.part(row)

    write_prompts(out / "prompts", plan.stories["prompt"], speak, format=format, splits=splits)
    write_benchmarks(
        out / "benchmarks", plan.pairs, speak, counts=counts, sentences=sentences,
        frequency=word_frequency(plan.texts("train")), format=format,
    )  # fmt: skip
    write_pairs(out / "benchmarks" / PAIRS, plan.pairs)
