"""Stories as files: prompts for alignment, and benchmarks in their official layouts."""

from __future__ import annotations

import csv
import json
import random
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Literal

import soundfile

from orality.pretraining.stories.build import MAIN_VOICE, pair_id
from orality.pretraining.stories.grammar import Story
from orality.pretraining.stories.joining import Part, join
from orality.pretraining.stories.pairs import Pair
from orality.pretraining.stories.phones import PAUSE
from orality.pretraining.stories.speech import RATE, plain_words

Speak = Callable[[str], Part]
Write = Callable[[Path, Part], None]
Format = Literal["ogg", "flac"]
# Kilobits a second below which Opus halves the band, and units change beyond use.
LEAST_KBITS = 9.0


def write_speech(path: Path, part: Part, format: Format, *, kbits: float = 12.0) -> Path:
    """Write 16 kHz mono speech as `path` with the format's suffix; returns the file.

    `kbits`: kilobits a second of Opus, which is what `ogg` holds. A file appears whole or not at
    all.
    """
    path = path.with_suffix(f".{format}")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    kind: dict[str, Any] = {"format": "FLAC", "subtype": "PCM_16"}
    if format == "ogg":
        # libsndfile counts from 256 kbit/s at 0 to 6 at 1
        level = 1 - (kbits - 6) / 250
        kind = {"format": "OGG", "subtype": "OPUS", "compression_level": level}
    soundfile.write(temporary, part.samples, RATE, **kind)
    temporary.replace(path)
    return path


@contextmanager
def speech_writer(format: Format, *, kbits: float = 12.0, threads: int = 1) -> Iterator[Write]:
    """A function that leaves speech to threads which write it; at the end, all of it is written.

    Opus costs half a second of a core per story, and needs no lock while it works.
    """
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[Path]] = deque()

        def write(path: Path, part: Part) -> None:
            waiting.append(pool.submit(write_speech, path, part, format, kbits=kbits))
            if len(waiting) > 4 * threads:  # bounds the memory
                waiting.popleft().result()

        yield write
        for future in waiting:
            future.result()


def write_prompts(
    folder: Path,
    stories: Mapping[str, Iterable[Story]],
    speak: Speak,
    *,
    format: Format = "ogg",
    kbits: float = 12.0,
    threads: int = 1,
    seconds: tuple[float, float] = (7.0, 11.5),
    counts: Mapping[str, int],
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, int]:
    """Write stories that last `seconds` as a corpus with `manifest.jsonl`; returns counts by split.

    `stories` and `counts`: by split, what to choose from and how many at most; stories of the wrong
    length are left out. The manifest comes last: a folder that has one is complete.
    """
    rows: list[dict[str, Any]] = []
    written = dict.fromkeys(counts, 0)
    with speech_writer(format, kbits=kbits, threads=threads) as write:
        for split, wanted in counts.items():
            for story in stories.get(split, ()):
                if written[split] == wanted:
                    break
                part = join([speak(line.text) for line in story.lines])
                if not seconds[0] <= part.seconds <= seconds[1]:
                    continue
                name = f"{split}-{written[split]:05d}"
                write(folder / "audio" / name, part)
                rows.append(
                    {"id": name, "audio": f"audio/{name}.{format}", "text": part.text,
                     "words": [[w, s, e] for w, s, e in part.words],
                     "language": "en", "split": split}
                )  # fmt: skip
                written[split] += 1
                if progress:
                    progress(len(rows), sum(counts.values()))
    _write_lines(folder / "manifest.jsonl", rows)
    return written


def write_benchmarks(
    folder: Path,
    pairs: Sequence[Pair],
    speak: Speak,
    *,
    counts: Mapping[str, int],
    sentences: int,
    frequency: Mapping[str, int],
    format: Format = "ogg",
    kbits: float = 12.0,
    transcripts: bool = True,
    longest: int | None = None,
    threads: int = 1,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write sWUGGY, sBLIMP and both StoryClozes from the pairs.

    `counts` says how many pairs of each kind are spoken. Stories have `sentences` sentences: the
    first, the last ones before the ending, and the ending. `frequency` counts a word in training.
    `transcripts`: a text file beside each story. `longest`: words of a story, at most.
    """
    chosen = chosen_pairs(pairs, counts=counts, sentences=sentences, longest=longest, seed=seed)
    total = 2 * sum(map(len, chosen.values()))
    done = count(1)
    with speech_writer(format, kbits=kbits, threads=threads) as queue:

        def write(path: Path, part: Part) -> None:
            queue(path, part)
            if progress:
                progress(next(done), total)

        for kind, name in (("topic", "tstorycloze"), ("story", "sstorycloze")):
            if chosen[kind]:
                _write_endings(
                    folder / name, chosen[kind], speak, sentences, write, transcripts=transcripts
                )
        if chosen["word"]:
            _write_gold(
                folder / "swuggy" / "lexical" / "dev", chosen["word"], speak, write,
                lambda pair, text, right: _lexical_row(pair, text, right, frequency, speak),
            )  # fmt: skip
        if chosen["grammar"]:
            _write_gold(
                folder / "sblimp" / "syntactic" / "dev", chosen["grammar"], speak, write,
                lambda pair, text, _: _syntactic_row(pair, text),
            )  # fmt: skip


def chosen_pairs(
    pairs: Sequence[Pair],
    *,
    counts: Mapping[str, int],
    sentences: int,
    longest: int | None = None,
    seed: int = 0,
) -> dict[str, list[tuple[str, Pair]]]:
    """The pairs that `write_benchmarks` speaks for the same arguments, by kind, with their ids."""
    numbered = [(pair_id(pairs, i), pair) for i, pair in enumerate(pairs)]
    random.Random(seed).shuffle(numbered)
    if longest is not None:
        numbered = [item for item in numbered if _words(item[1], sentences) <= longest]
    return {kind: _chosen(numbered, kind, counts) for kind in counts}


def spoken_texts(pairs: Iterable[Pair], *, sentences: int) -> list[str]:
    """The different texts that are spoken of the pairs."""
    texts = (t for p in pairs for t in (*_context(p, sentences), p.positive, p.negative))
    return list(dict.fromkeys(texts))


def _words(pair: Pair, sentences: int) -> int:
    """Words of the longer of a pair's two stories."""
    context = _context(pair, sentences)
    return max(
        len(plain_words(" ".join((*context, end)))) for end in (pair.positive, pair.negative)
    )


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
    folder: Path,
    pairs: Iterable[tuple[str, Pair]],
    speak: Speak,
    sentences: int,
    write: Write,
    *,
    transcripts: bool,
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, pair in pairs:
        context = _context(pair, sentences)
        number = name.rpartition("-")[2]
        for file_id, (label, ending) in enumerate(
            (("correct", pair.positive), ("incorrect", pair.negative))
        ):
            part = join([speak(text) for text in (*context, ending)])
            path = folder / f"{2 * int(number) + file_id}_{number}_{label}"
            write(path, part)
            if transcripts:
                path.with_suffix(".txt").write_text(part.text + "\n", encoding="utf-8")


def _context(pair: Pair, sentences: int) -> tuple[str, ...]:
    """What is heard of the context before the ending: its first and its last sentences."""
    if not pair.context:
        return ()
    middle = pair.context[1:]
    return (pair.context[0], *middle[len(middle) - (sentences - 2) :])


def _write_gold(
    folder: Path,
    pairs: Sequence[tuple[str, Pair]],
    speak: Speak,
    write: Write,
    columns: Callable[[Pair, str, int], dict[str, Any]],
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    for number, (_, pair) in enumerate(pairs):
        for correct, text in ((1, pair.positive), (0, pair.negative)):
            part = join([speak(text)])
            stem = f"{pair.kind}-{number:04d}-{'good' if correct else 'bad'}"
            write(folder / stem, part)
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
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(
        "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), encoding="utf-8"
    )
    temporary.replace(path)
