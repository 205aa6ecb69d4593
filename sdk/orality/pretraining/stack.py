"""`orality pretrain`: speech in, a tokenizer, a unit language model and a unit vocoder out."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import yaml

from orality.checkpoints import read_unit_spec
from orality.errors import StoreError
from orality.pretraining.corpora import Speech, recorded_speech, story_speech
from orality.pretraining.data import Utterance
from orality.pretraining.quantizer.encode import Ids, deduplicate, encode_frames, layer_of
from orality.pretraining.quantizer.frame_training import EncoderSettings
from orality.pretraining.quantizer.phones import phone_inventory, phones_at
from orality.pretraining.quantizer.train import train_quantizer
from orality.pretraining.recipe import PretrainRecipe
from orality.pretraining.unit_lm.train import UnitLMSettings, train_unit_lm
from orality.pretraining.vocoder.code_hifigan import VocoderShape
from orality.pretraining.vocoder.train import train_vocoder
from orality.progress import Progress, silent
from orality.store import atomic_write, lock_folder
from orality.store.files import explain_os_errors
from orality.store.folders import whole_folder
from orality.types import UnitSpec

STORIES = "stories"
PLUGINS = {"tokenizer": "hubert", "slm": "twist", "vocoder": "hifigan"}
SEGMENT = (8, 32)  # fewest and most frames of a vocoder's training example


@dataclass(frozen=True, slots=True)
class _Work:
    """Where and how the trainings run; their losses and checkpoints are below `folder`."""

    recipe: PretrainRecipe
    folder: Path
    device: str
    progress: Progress


def pretrain(
    recipe: str | Path,
    out: str | Path,
    *,
    corpus: str | Path | None = None,
    device: str = "auto",
    progress: Progress = silent,
) -> Path:
    """Train a whole stack in `out` and return that folder; a second call continues.

    Leaves `tokenizer/`, `slm/` and `vocoder/` as the plugins hubert, twist and hifigan read them,
    each as soon as it is finished, and at the end `stack.yaml`, the lines that a recipe needs to
    use them. Losses and checkpoints of every training are under `training/`. `corpus` replaces the
    recipe's: a folder of recordings, or `stories`. Raises RecipeError for an unusable recipe,
    CorpusError for unusable speech, StoreError when `out` was begun with another recipe,
    TrainingError when a training must stop.
    """
    out = Path(out)
    settings = _with_corpus(PretrainRecipe.load(recipe), corpus)
    with lock_folder(out):
        _claim(out, settings)
        if not all((out / kind).is_dir() for kind in PLUGINS):
            if settings.speech.corpus == STORIES:
                speech = story_speech(settings, out / "speech", progress)
            else:
                speech = recorded_speech(settings)
            _train(speech, out, _Work(settings, out / "training", device, progress))
        text = yaml.safe_dump(
            {
                kind: {"name": name, "checkpoint": str((out / kind).resolve())}
                for kind, name in PLUGINS.items()
            },
            sort_keys=False,
        )
        atomic_write(out / "stack.yaml", lambda file: file.write(text.encode()))
    return out


def _train(speech: Speech, out: Path, work: _Work) -> None:
    tokenizer = _publish(out / "tokenizer", lambda: _train_quantizer(speech, work))
    spec = read_unit_spec(tokenizer)
    encode = partial(encode_frames, tokenizer, device=work.device, progress=work.progress)

    def lm_frames() -> dict[str, Ids]:
        return encode(speech.language_model, cache=work.folder / "units", name="encode")

    def vocoder_frames() -> dict[str, Ids]:
        known = {id(item) for item in speech.language_model}
        if all(id(item) in known for item in speech.vocoder):
            return lm_frames()
        cache = work.folder / "units-vocoder"
        return encode(speech.vocoder, cache=cache, name="encode for the vocoder")

    _publish(out / "slm", lambda: _train_slm(speech, lm_frames(), spec, work))
    _publish(out / "vocoder", lambda: _train_vocoder(speech.vocoder, vocoder_frames(), spec, work))


def _train_quantizer(speech: Speech, work: _Work) -> Path:
    options = work.recipe.quantizer
    encoder = EncoderSettings(
        width=options.width, layers=options.layers, steps=options.steps, seed=work.recipe.seed
    )
    teacher: Path | None = None
    for iteration in range(1, options.iterations + 1):
        where = work.folder / f"quantizer-{iteration}"
        finished = where / "tokenizer"
        if not (finished / "units.json").exists():
            finished = train_quantizer(
                speech.quantizer,
                out=where,
                dev=speech.quantizer_dev,
                targets=options.targets if teacher is None else "encoder",
                teacher=teacher,
                teacher_layer=-1 if teacher is None else layer_of(teacher),
                num_units=options.units,
                layer=options.layer,
                name=f"orality-{work.recipe.name}-25hz",
                settings=encoder,
                device=work.device,
                progress=work.progress,
            ).folder
        teacher = finished
    assert teacher is not None  # iterations >= 1
    return teacher


def _train_slm(speech: Speech, frames: dict[str, Ids], spec: UnitSpec, work: _Work) -> Path:
    options = work.recipe.unit_lm
    sizes = options.model_dump(exclude={"warm_start"})
    return train_unit_lm(
        speech.lm_corpus({key: deduplicate(ids) for key, ids in frames.items()}),
        unit_spec=spec,
        out=work.folder / "slm",
        settings=UnitLMSettings(**sizes, seed=work.recipe.seed),
        warm_start=None if options.warm_start is None else Path(options.warm_start),
        device=work.device,
        progress=work.progress,
    )


def _train_vocoder(
    speech: Sequence[Utterance], frames: dict[str, Ids], spec: UnitSpec, work: _Work
) -> Path:
    options = work.recipe.vocoder
    shape = VocoderShape(spec.vocab_size, channels=options.channels)
    train = partial(
        train_vocoder,
        speech,
        # three quarters of the recordings are long enough to be learned from
        segment=int(
            np.clip(np.quantile([item.length // shape.hop for item in speech], 0.25) - 1, *SEGMENT)
        ),
        seed=work.recipe.seed,
        device=work.device,
        progress=work.progress,
    )
    body: Path | None = None
    if options.warm_up_steps and all(utterance.phones for utterance in speech):
        inventory = phone_inventory(speech)
        phones = {
            item.id: phones_at(
                item, (np.arange(item.length // shape.hop) + 0.5) * shape.hop, inventory
            )
            for item in speech
        }
        body = train(
            phones,
            work.folder / "vocoder-warm-up",
            unit_spec=UnitSpec("phones", len(inventory), spec.frame_rate),
            shape=replace(shape, num_embeddings=len(inventory)),
            steps=options.warm_up_steps,
            duration_steps=0,  # only the body is taken over
        )
    return train(
        frames,
        work.folder / "vocoder",
        unit_spec=spec,
        shape=shape,
        steps=options.steps,
        adversarial=options.adversarial,
        init_from=body,
    )


def _with_corpus(recipe: PretrainRecipe, corpus: str | Path | None) -> PretrainRecipe:
    """The recipe with this corpus; a folder by its absolute path, which names one folder only."""
    name = recipe.speech.corpus if corpus is None else str(corpus)
    if name != STORIES:
        name = str(Path(name).expanduser().resolve())
    return recipe.model_copy(update={"speech": recipe.speech.model_copy(update={"corpus": name})})


def _claim(out: Path, recipe: PretrainRecipe) -> None:
    """Keep the recipe in `out`; another one is refused once anything was made there."""
    path = out / "recipe.yaml"
    text = yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False)
    with explain_os_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        begun = any(child.name in {"training", "speech", *PLUGINS} for child in out.iterdir())
        if begun and (not path.exists() or path.read_text(encoding="utf-8") != text):
            raise StoreError(
                f"{out} was begun with another recipe or corpus (its recipe.yaml says which); "
                "give another folder, or the same recipe to continue"
            )
    atomic_write(path, lambda file: file.write(text.encode()))


def _publish(folder: Path, make: Callable[[], Path]) -> Path:
    """`folder` if it is there, otherwise what `make` finished, copied there at once."""
    if folder.is_dir():
        return folder
    made = make()
    with whole_folder(folder) as copy:
        shutil.copytree(made, copy, dirs_exist_ok=True)
    return folder
