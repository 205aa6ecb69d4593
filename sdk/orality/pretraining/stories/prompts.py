"""Story prompts and benchmarks by the number, spoken into one folder that is a corpus."""

from __future__ import annotations

import json
import logging
import random
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import resources
from pathlib import Path

from orality.errors import CorpusError
from orality.pretraining.stories.build import MAIN_VOICE, PAIRS, read_pairs, write_pairs
from orality.pretraining.stories.grammar import SLOTS, Pool, Split, Story, slot_lines
from orality.pretraining.stories.joining import Part, join
from orality.pretraining.stories.package import (
    LEAST_KBITS,
    Format,
    Speak,
    chosen_pairs,
    spoken_texts,
    word_frequency,
    write_benchmarks,
    write_prompts,
)
from orality.pretraining.stories.pairs import Pair
from orality.pretraining.stories.plan import training_texts
from orality.pretraining.stories.request import SENTENCES, Request, card
from orality.pretraining.stories.speech import plain_words, speaker
from orality.pretraining.stories.storage import sentence_id, write_corpus
from orality.progress import Progress, silent

logger = logging.getLogger(__name__)

REQUEST, SPEECH = "stories.json", ".speech"
# Whose sentences the prompts of each split are made of. The hash reserves the split "prompt" for
# alignment, but it yields only some 250 stories: too few to train on.
SOURCES: Mapping[str, tuple[Split, ...]] = {
    "train": ("train",),
    "dev": ("prompt", "dev"),
    "test": ("test",),
}
KINDS = ("word", "grammar", "topic", "story")
# Stories to spare, since some turn out too short or too long when spoken.
_SPARE_SHARE, _SPARE = 0.1, 12
# Second and third sentences for each opening; stories may share these.
_OTHERS_SHARE, _FEW_OTHERS, _OTHERS_EACH, _ENOUGH_OTHERS = 0.4, 150, 5, 400
_DRAWS = 40
# Most stories have 2.6 to 3.3 words a second, pauses included.
_SLOWEST, _FASTEST = 2.6, 3.3


# As many as the package ships, in `data/prompts` and `data/benchmarks`: below 12 kbit/s its units,
# and with them StoryCloze, suffer.
SHIPPED = Request(
    prompts={"train": 300, "dev": 60, "test": 60},
    pairs={"word": 200, "grammar": 200, "topic": 100, "story": 100},
    format="ogg",
    kbits=12.0,
    transcripts=False,
)


def build_prompts(
    out: str | Path,
    *,
    prompts: int,
    dev: int = 60,
    test: int = 200,
    pairs: int = 0,
    seed: int = 0,
    format: Format = "flac",
    processes: int = 1,
    progress: Progress = silent,
) -> Path:
    """Make a corpus of spoken three-sentence stories as large as wanted; returns its folder.

    `prompts`, `dev`, `test`: stories of each split, no two of which open with the same sentence.
    Training stories are composed of sentences of the training split, dev and test stories of
    held-out ones. `pairs`: how many sWUGGY, sBLIMP, T- and S-StoryCloze pairs are spoken into
    `benchmarks/`, of the 600 of each kind that are listed. The same arguments continue what was
    cut; a folder with other contents is refused. CorpusError also when the extra `stories` is not
    installed or the grammar has too few stories.
    """
    listed = shipped_pairs()
    most = min(sum(p.kind == kind for p in listed) for kind in KINDS)
    if not 0 <= pairs <= most:
        raise CorpusError(f"got {pairs} pairs of each kind; wanted 0 to {most}, which are listed")
    counts = {"train": prompts, "dev": dev, "test": test}
    if min(counts.values()) < 0 or not any(counts.values()):
        raise CorpusError(f"got {counts} stories; wanted none below 0 and one at least")
    request = Request(counts, dict.fromkeys(KINDS, pairs), seed, format=format)
    return build(Path(out), request, processes=processes, progress=progress)


def build_shipped(out: str | Path, *, processes: int = 1, progress: Progress = silent) -> Path:
    """Make the speech that comes with the package: `out` is then `data/prompts`, and its
    `benchmarks/` is `data/benchmarks`."""
    return build(Path(out), SHIPPED, processes=processes, progress=progress)


def build(out: Path, request: Request, *, processes: int = 1, progress: Progress = silent) -> Path:
    """What `build_prompts` does, with everything that may be chosen."""
    if request.format == "ogg" and request.kbits < LEAST_KBITS:
        raise CorpusError(
            f"got {request.kbits} kbit/s; wanted {LEAST_KBITS} at least, below which Opus drops "
            "half of the band"
        )
    if _finished(out, request):
        logger.info("%s is complete", out)
        return out
    speaker(MAIN_VOICE)  # what is missing is said before any work
    stories = {
        name: prompt_stories(
            random.Random(f"{request.seed}-{name}-prompts"), SOURCES[name], count,
            seconds=request.seconds,
        )
        for name, count in request.prompts.items()
    }  # fmt: skip
    listed = shipped_pairs()
    chosen = chosen_pairs(
        listed, counts=request.pairs, sentences=SENTENCES, longest=request.longest
    )
    texts = [
        *(line.text for group in stories.values() for story in group for line in story.lines),
        *spoken_texts((p for group in chosen.values() for _, p in group), sentences=SENTENCES),
    ]
    speak = _spoken(out / SPEECH, texts, processes, progress)
    fitting = {
        name: _fitting(group, speak, request.seconds)[: request.prompts[name]]
        for name, group in stories.items()
    }
    found = {name: len(group) for name, group in fitting.items()}
    if found != dict(request.prompts):
        raise CorpusError(
            f"the stories are too few: got {found}, wanted {dict(request.prompts)}; "
            "ask for fewer in another folder, or take another seed"
        )
    write_prompts(
        out, fitting, speak, counts=request.prompts, seconds=request.seconds,
        format=request.format, kbits=request.kbits, threads=processes,
        progress=lambda done, total: progress("writing stories", done, total),
    )  # fmt: skip
    if any(request.pairs.values()):
        write_benchmarks(
            out / "benchmarks", listed, speak, counts=request.pairs, sentences=SENTENCES,
            frequency=word_frequency(training_texts()), format=request.format,
            kbits=request.kbits, transcripts=request.transcripts, longest=request.longest,
            threads=processes,
            progress=lambda done, total: progress("writing benchmark pairs", done, total),
        )  # fmt: skip
        write_pairs(out / "benchmarks" / PAIRS, listed)
    (out / "README.md").write_text(card(request), encoding="utf-8")
    shutil.rmtree(out / SPEECH)
    return out


def prompt_stories(
    rng: random.Random,
    splits: Sequence[Split],
    count: int,
    *,
    seconds: tuple[float, float] = (7.0, 11.5),
) -> list[Story]:
    """Stories of three sentences of the splits, all with different openings, and a few to spare.

    Their words fit `seconds` as the main voice speaks. Fewer come back when the grammar has no
    more.
    """
    if not count:
        return []
    wanted = round(count * (1 + _SPARE_SHARE)) + _SPARE
    few = min(_FEW_OTHERS + _OTHERS_EACH * count, _ENOUGH_OTHERS)
    others = max(round(count * _OTHERS_SHARE), few)
    openings = [o for split in splits for o in slot_lines(rng, "open", 3 * wanted, split)]
    rng.shuffle(openings)
    pool = Pool(
        line
        for slot in SLOTS[1:SENTENCES]
        for split in splits
        for line in slot_lines(rng, slot, others, split)
    )
    words = (seconds[0] * _SLOWEST, seconds[1] * _FASTEST)
    found: list[Story] = []
    for opening in openings:
        if len(found) == wanted:
            break
        for _ in range(_DRAWS):
            story = pool.story_after(rng, opening, length=SENTENCES)
            if story and words[0] <= len(plain_words(story.text)) <= words[1]:
                found.append(story)
                break
    return found


def _fitting(stories: list[Story], speak: Speak, seconds: tuple[float, float]) -> list[Story]:
    """The stories that last as long as wanted when they are spoken."""

    def fits(story: Story) -> bool:
        length = join([speak(line.text) for line in story.lines]).seconds
        return seconds[0] <= length <= seconds[1]

    return [story for story in stories if fits(story)]


def shipped_pairs() -> list[Pair]:
    """The test pairs whose texts come with the package, 600 of each kind."""
    return read_pairs(Path(str(resources.files("orality") / "data" / "benchmarks" / PAIRS)))


def _spoken(folder: Path, texts: list[str], processes: int, progress: Progress) -> Speak:
    corpus = write_corpus(
        folder, texts, MAIN_VOICE, processes=processes,
        progress=lambda done, total: progress("speaking", done, total),
    )  # fmt: skip
    known = {row["id"]: row for row in corpus.rows}

    def speak(text: str) -> Part:
        return corpus.part(known[sentence_id(text, MAIN_VOICE)])

    return speak


def _finished(out: Path, request: Request) -> bool:
    """Whether the folder holds all of it; else it is made ready to begin or go on."""
    asked = json.loads(json.dumps(asdict(request)))
    file = out / REQUEST
    if file.is_file():
        held = json.loads(file.read_text(encoding="utf-8"))
        if held != asked:
            raise CorpusError(
                f"{out} holds or was to hold other stories ({_short(held)}), wanted "
                f"{_short(asked)}: choose another folder or delete this one"
            )
        return (out / "README.md").is_file()
    if out.exists() and any(out.iterdir()):
        raise CorpusError(f"{out} holds other files: choose a new folder for the stories")
    out.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{REQUEST}.tmp")
    temporary.write_text(json.dumps(asked, indent=1) + "\n", encoding="utf-8")
    temporary.replace(file)
    return False


def _short(asked: Mapping[str, object]) -> str:
    return ", ".join(f"{key} {json.dumps(value)}" for key, value in asked.items())
