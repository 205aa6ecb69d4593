"""`orality pretrain`: speech in, a tokenizer, a unit language model and a unit vocoder out."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import yaml

from orality.errors import CorpusError, StoreError
from orality.pretraining.code_hifigan import VocoderShape
from orality.pretraining.data import Utterance, held_out, open_speech
from orality.pretraining.encode import Ids, deduplicate, encode_frames, read_unit_spec
from orality.pretraining.frame_training import EncoderSettings
from orality.pretraining.phones import phone_inventory, phones_at
from orality.pretraining.quantizer import train_quantizer
from orality.pretraining.recipe import PretrainRecipe
from orality.pretraining.unit_lm import UnitLMSettings, train_unit_lm
from orality.pretraining.unit_lm_data import UnitCorpus
from orality.pretraining.unit_vocoder import train_vocoder
from orality.progress import Progress, silent
from orality.store import atomic_write
from orality.types import UnitSpec

STORIES = "stories"


@dataclass(frozen=True, slots=True)
class Speech:
    """What each part learns from. `lm_corpus` turns units by utterance id into what is read."""

    quantizer: Sequence[Utterance]
    quantizer_dev: Sequence[Utterance] | None
    language_model: Sequence[Utterance]
    vocoder: Sequence[Utterance]
    lm_corpus: Callable[[dict[str, Ids]], UnitCorpus]


def pretrain(
    recipe: str | Path,
    out: str | Path,
    *,
    corpus: str | None = None,
    device: str = "auto",
    progress: Progress = silent,
) -> Path:
    """Train a whole stack in `out` and return that folder; a second call continues.

    Leaves `tokenizer/`, `slm/` and `vocoder/` as the plugins hubert, twist and hifigan read them,
    losses and checkpoints of every training under `training/`, and `stack.yaml`, the lines that a
    recipe needs to use them. `corpus` replaces the recipe's: a folder of recordings, or `stories`.
    """
    settings, out = PretrainRecipe.load(recipe), Path(out)
    if corpus is not None:
        speech_options = settings.speech.model_copy(update={"corpus": corpus})
        settings = settings.model_copy(update={"speech": speech_options})
    _claim(out, settings)
    if settings.speech.corpus == STORIES:
        speech = _stories(settings, out / "speech", progress)
    else:
        speech = _recordings(settings)
    work = out / "training"
    tokenizer = _train_quantizer(settings, speech, work, device, progress)
    encode = partial(encode_frames, tokenizer, device=device, progress=progress)
    spec = read_unit_spec(tokenizer)
    lm_frames = encode(speech.language_model, cache=work / "units-slm", name="encode for the slm")
    slm = train_unit_lm(
        speech.lm_corpus({key: deduplicate(ids) for key, ids in lm_frames.items()}),
        unit_spec=spec,
        out=work / "slm",
        settings=UnitLMSettings(
            **settings.unit_lm.model_dump(exclude={"warm_start"}), seed=settings.seed
        ),
        warm_start=None
        if settings.unit_lm.warm_start is None
        else Path(settings.unit_lm.warm_start),
        device=device,
        progress=progress,
    )
    frames = encode(speech.vocoder, cache=work / "units-vocoder", name="encode for the vocoder")
    vocoder = _train_vocoder(settings, speech.vocoder, frames, spec, work, device, progress)
    return _finish(out, {"tokenizer": tokenizer, "slm": slm, "vocoder": vocoder})


def _train_quantizer(
    recipe: PretrainRecipe, speech: Speech, work: Path, device: str, progress: Progress
) -> Path:
    options = recipe.quantizer
    encoder = EncoderSettings(
        width=options.width, layers=options.layers, steps=options.steps, seed=recipe.seed
    )
    folder: Path | None = None
    for iteration in range(1, options.iterations + 1):
        where = work / f"quantizer-{iteration}"
        if (where / "tokenizer" / "units.json").exists():
            folder = where / "tokenizer"
            continue
        made = train_quantizer(
            speech.quantizer,
            out=where,
            dev=speech.quantizer_dev,
            targets=options.targets if folder is None else "encoder",
            teacher=folder,
            num_units=options.units,
            layer=options.layer,
            name=f"orality-{recipe.name}-25hz",
            settings=encoder,
            device=device,
            progress=progress,
        )
        folder = made.folder
    assert folder is not None  # iterations >= 1
    return folder


def _train_vocoder(
    recipe: PretrainRecipe,
    speech: Sequence[Utterance],
    frames: dict[str, Ids],
    spec: UnitSpec,
    work: Path,
    device: str,
    progress: Progress,
) -> Path:
    options = recipe.vocoder
    shape = VocoderShape(spec.vocab_size, channels=options.channels)
    body: Path | None = None
    train = partial(train_vocoder, speech, seed=recipe.seed, device=device, progress=progress)
    if options.warm_up_steps and all(utterance.phones for utterance in speech):
        inventory = phone_inventory(speech)
        hop = shape.hop
        phones = {
            item.id: phones_at(item, (np.arange(item.length // hop) + 0.5) * hop, inventory)
            for item in speech
        }
        body = train(
            phones,
            work / "vocoder-warm-up",
            unit_spec=UnitSpec("phones", len(inventory), spec.frame_rate),
            shape=replace(shape, num_embeddings=len(inventory)),
            steps=options.warm_up_steps,
        )
    return train(
        frames,
        work / "vocoder",
        unit_spec=spec,
        shape=shape,
        steps=options.steps,
        adversarial=options.adversarial,
        init_from=body,
    )


def _stories(recipe: PretrainRecipe, folder: Path, progress: Progress) -> Speech:
    from orality.pretraining.stories.build import build_stories
    from orality.pretraining.stories.unit_corpus import story_corpus, trimmed_speech

    options, voice = recipe.speech, recipe.speech.voices[0]
    made = build_stories(
        folder,
        num_sentences=options.sentences,
        voices=options.voices,
        seed=recipe.seed,
        progress=progress,
    )
    rows = map(json.loads, made.stories.read_text(encoding="utf-8").splitlines())
    single_ids = {
        row["sentences"][0] for row in rows if row["split"] == "train" and row["kind"] == "single"
    }
    main = open_speech(made.speech["train", voice])
    texts = {item.id: item.text or "" for item in main if item.id in single_ids}
    return Speech(
        quantizer=open_speech(
            *(path for (split, _), path in made.speech.items() if split == "train")
        ),
        quantizer_dev=open_speech(made.speech["dev", voice]),
        language_model=trimmed_speech(made.speech["train", voice]),
        vocoder=main,
        lm_corpus=lambda units: story_corpus(
            units, texts, sentences=options.sentences, voice=voice, seed=recipe.seed
        ),
    )


def _recordings(recipe: PretrainRecipe) -> Speech:
    speech = open_speech(recipe.speech.corpus)
    training, dev = held_out(speech)
    wanted = recipe.speech.vocoder_voice
    voice = [item for item in training if wanted in (None, item.voice)]
    if not voice:
        known = sorted({item.voice or "unknown" for item in training})
        raise CorpusError(
            f"no recording is of the voice {wanted!r} that the vocoder shall learn; voices are "
            f"{', '.join(known[:10])}"
        )
    return Speech(
        quantizer=training,
        quantizer_dev=dev,
        language_model=training,
        vocoder=voice,
        lm_corpus=lambda units: UnitCorpus(units=units, stories=[], singles=sorted(units)),
    )


def _claim(out: Path, recipe: PretrainRecipe) -> None:
    path = out / "recipe.yaml"
    text = yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False)
    if path.exists() and path.read_text(encoding="utf-8") != text:
        raise StoreError(
            f"{out} was begun with another recipe or corpus (its recipe.yaml says which); "
            "give another --out, or the same recipe to continue"
        )
    atomic_write(path, lambda file: file.write(text.encode()))


def _finish(out: Path, parts: dict[str, Path]) -> Path:
    plugins = {"tokenizer": "hubert", "slm": "twist", "vocoder": "hifigan"}
    lines = {}
    for kind, made in parts.items():
        for file in sorted(path for path in made.iterdir() if path.is_file()):
            atomic_write(
                out / kind / file.name, lambda target, file=file: target.write(file.read_bytes())
            )  # type: ignore[misc]
        lines[kind] = {"name": plugins[kind], "checkpoint": str((out / kind).resolve())}
    text = yaml.safe_dump(lines, sort_keys=False)
    atomic_write(out / "stack.yaml", lambda file: file.write(text.encode()))
    return out
