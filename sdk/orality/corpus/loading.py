"""A corpus is a shipped name, a folder, a manifest, a list of cuts or a dataset."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from importlib import resources
from pathlib import Path

from orality.audio import AudioLimits
from orality.corpus.collection import Corpus, alignments_below
from orality.corpus.readers.common_voice import CommonVoice, is_common_voice
from orality.corpus.readers.cuts import Cuts, is_cut
from orality.corpus.readers.hub import PREFIX, tables_on_the_hub
from orality.corpus.readers.hugging_face import Tables, tables_of
from orality.corpus.readers.layouts import folder_source
from orality.corpus.readers.lines import Lines
from orality.corpus.readers.manifest import TABLE_SUFFIXES, Manifest
from orality.corpus.readers.tables import SUFFIXES
from orality.corpus.sources import AUDIO_SUFFIXES, NO_COLUMNS, Source
from orality.errors import CorpusError
from orality.recipe import Recipe

SHIPPED = {"stories": "data/prompts", "toy": "data/toy"}
DEFAULT_LIMITS = AudioLimits()


def load_corpus(
    path: str | Path,
    *,
    language: str = "en",
    alignments: Path | None = None,
    columns: Mapping[str, str] = NO_COLUMNS,
    limits: AudioLimits = DEFAULT_LIMITS,
) -> Corpus:
    """The utterances of a corpus, ordered by id; `docs/corpora.md` describes every form.

    `path`: a shipped name; a folder (with a `manifest.jsonl`; a Hugging Face dataset; LibriSpeech
    or Multilingual LibriSpeech as distributed; any recordings); a JSONL or CSV manifest, lhotse's
    cuts, an Arrow or Parquet file; or `hf:OWNER/NAME?...` on the hub. `columns`: other names of
    `audio`, `text`, `id`, `language`, `split` and `words` in manifests and datasets. Words that the
    corpus does not carry are looked for in the folder `alignments` (default: a folder of recordings
    itself), see `Alignments`. Without splits, the order of the ids' hashes gives 80 % train, 10 %
    dev and 10 % test, at least one of each from three recordings on. `limits`: what is decoded at
    most. Raises CorpusError when there is nothing, or a list is malformed.
    """
    source = _source(path, columns)
    folder = alignments or source.alignments
    corpus = Corpus(
        source,
        language=language,
        limits=limits,
        alignments=alignments_below(folder),
        reopen=partial(load_corpus, path, language=language, alignments=alignments,
                       columns=dict(columns), limits=limits),
    )  # fmt: skip
    if not corpus:
        raise CorpusError(
            f"corpus {path} holds no recordings; looked for {', '.join(sorted(AUDIO_SUFFIXES))}"
        )
    return corpus


def corpus_of(recipe: Recipe) -> Corpus:
    """The corpus that a recipe names, as it says to read it."""
    options = recipe.corpus
    return load_corpus(
        options.path,
        language=recipe.language,
        alignments=options.alignments,
        columns={str(key): name for key, name in options.columns.items()},
        limits=AudioLimits(options.max_seconds, options.max_bytes),
    )


def _source(path: str | Path, columns: Mapping[str, str]) -> Source:
    if str(path).startswith(PREFIX):
        return Tables(tables_on_the_hub(str(path)), columns)
    place = Path(path)
    if str(path) in SHIPPED:  # a folder of that name is still reached as ./stories
        place = Path(str(resources.files("orality"))) / SHIPPED[str(path)]
    if place.is_dir():
        return _folder(place, columns)
    if not place.is_file():
        raise CorpusError(
            f"there is no corpus at {path}; give a folder of recordings, a JSONL or CSV manifest, "
            f"lhotse's cuts, a Hugging Face dataset, or one of the shipped names "
            f"{', '.join(SHIPPED)}"
        )
    if place.suffix in SUFFIXES:
        return Tables([(place, None)], columns)
    return _list(place, columns)


def _folder(folder: Path, columns: Mapping[str, str]) -> Source:
    if (folder / "manifest.jsonl").exists():
        manifest = Manifest(folder / "manifest.jsonl", columns)
        manifest.alignments = folder
        return manifest
    found = tables_of(folder)
    if found:
        return Tables(found, columns)
    return CommonVoice(folder) if is_common_voice(folder) else folder_source(folder)


def _list(path: Path, columns: Mapping[str, str]) -> Source:
    if path.suffix.lower() in TABLE_SUFFIXES:
        return Manifest(path, columns)
    lines = Lines(path)
    first = next(iter(lines), None)
    if first is not None and is_cut(first[2]):
        return Cuts(lines)
    return Manifest(path, columns, lines)
