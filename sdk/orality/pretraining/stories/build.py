"""All speech and texts of the tiny stack, made from nothing into one folder."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from orality.errors import CorpusError
from orality.pretraining.stories.grammar import Split
from orality.pretraining.stories.pairs import Pair
from orality.pretraining.stories.plan import Plan, split
from orality.pretraining.stories.speech import VOICES
from orality.pretraining.stories.storage import sentence_id, write_corpus

logger = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]

STORIES, PAIRS = "stories.jsonl", "pairs.jsonl"
MAIN_VOICE = "hibari"
# The voice that no training ever hears: it tests the tokenizer on a new speaker.
UNHEARD_VOICE = "rms"
# Sentences a side voice speaks, as a share of the main voice's.
_SIDE_SHARE = 0.09


@dataclass(frozen=True, slots=True)
class StoryPaths:
    """What `build_stories` made: folders of speech by (split, voice), and the two text lists."""

    speech: dict[tuple[Split, str], Path]
    stories: Path
    pairs: Path


def build_stories(
    out: Path,
    *,
    num_sentences: int = 16_000,
    num_pairs: int = 600,
    num_prompts: int = 420,
    voices: Sequence[str] = VOICES,
    seed: int = 0,
    processes: int = 2,
    progress: Progress | None = None,
) -> StoryPaths:
    """Plan the texts, speak them, and list the stories and test pairs; a cut run continues.

    The first voice must be hibari, which speaks everything; the others speak a share of the
    training sentences each, `rms` held-out ones only. 16000 story sentences make about 22 hours of
    speech, 15 minutes' work of two free cores. CorpusError when a voice is not installed.
    """
    if not voices or voices[0] != MAIN_VOICE:
        raise CorpusError(
            f"got voices {list(voices)}; wanted {MAIN_VOICE!r} first, which speaks everything"
        )
    plan = split(seed, sentences=num_sentences, pairs=num_pairs, prompts=num_prompts)
    speech: dict[tuple[Split, str], Path] = {}
    for part, voice, texts in _work(plan, voices):
        folder = speech[part, voice] = out / f"{part}-{voice}"
        logger.info("speaking %d sentences into %s", len(texts), folder)
        write_corpus(
            folder, texts, voice, processes=processes, progress=_named(progress, folder.name)
        )
    write_stories(out / STORIES, plan)
    write_pairs(out / PAIRS, plan.pairs)
    return StoryPaths(speech, out / STORIES, out / PAIRS)


def _named(progress: Progress | None, name: str) -> Callable[[int, int], None] | None:
    if progress is None:
        return None
    return lambda done, total: progress(name, done, total)


def _work(plan: Plan, voices: Sequence[str]) -> Iterable[tuple[Split, str, list[str]]]:
    """(split, voice, texts) of every folder to write."""
    splits: tuple[Split, ...] = ("train", "dev", "prompt", "test")
    for part in splits:
        yield part, voices[0], plan.texts(part)
    share = max(round(len(plan.sentences["train"]) * _SIDE_SHARE), 1)
    for index, voice in enumerate(voices[1:]):
        if voice == UNHEARD_VOICE:
            yield "test", voice, [p.positive for p in plan.pairs if p.kind == "topic"][:300]
        else:
            yield "train", voice, plan.sentences["train"][index * share : (index + 1) * share]


def write_stories(path: Path, plan: Plan) -> None:
    """One line per text: {id, split, kind, topic, hero, sentences}, the last being ids of speech.

    `kind` is "story", or "single" for a sentence that stands alone.
    """
    rows: list[dict[str, Any]] = []
    for part, stories in plan.stories.items():
        for number, story in enumerate(stories):
            ids = [sentence_id(line.text, MAIN_VOICE) for line in story.lines]
            rows.append(
                {"id": f"{part}-story-{number:05d}", "split": part, "kind": "story",
                 "topic": story.topic, "hero": story.hero, "sentences": ids}
            )  # fmt: skip
    for part, texts in plan.singles.items():
        for number, text in enumerate(texts):
            rows.append(
                {"id": f"{part}-single-{number:05d}", "split": part, "kind": "single",
                 "topic": None, "hero": None, "sentences": [sentence_id(text, MAIN_VOICE)]}
            )  # fmt: skip
    _write(path, rows)


def write_pairs(path: Path, pairs: Sequence[Pair]) -> None:
    """One line per test pair: {id, kind, positive, negative, phenomenon, context, group}."""
    _write(path, [{"id": pair_id(pairs, i), **asdict(pair)} for i, pair in enumerate(pairs)])


def read_pairs(path: Path) -> list[Pair]:
    """The pairs that `write_pairs` wrote, in the same order."""
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return [
        Pair(**{k: v for k, v in row.items() if k not in ("id", "context")},
             context=tuple(row["context"]))
        for row in rows
    ]  # fmt: skip


def pair_id(pairs: Sequence[Pair], index: int) -> str:
    """The id of a pair in its list: kind and number."""
    return f"{pairs[index].kind}-{index:05d}"


def _write(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(
        "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), encoding="utf-8"
    )
    temporary.replace(path)
