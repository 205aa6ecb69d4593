"""Speech to a tokenizer folder: an encoder, a layer of it, and k-means over that layer."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import save_file
from transformers import HubertModel

from orality.checkpoints import read_unit_spec
from orality.errors import TrainingError
from orality.pretraining.data import SAMPLE_RATE, Utterance, held_out
from orality.pretraining.loop import pick_device, rng_of
from orality.pretraining.quantizer.encoder import (
    frames_of,
    layer_features,
    load_hubert,
    small_config,
)
from orality.pretraining.quantizer.frame_training import EncoderSettings, train_encoder
from orality.pretraining.quantizer.kmeans import fit_kmeans, nearest
from orality.pretraining.quantizer.phones import phone_inventory, phones_at
from orality.pretraining.quantizer.quality import UnitQuality, unit_quality
from orality.pretraining.quantizer.targets import (
    Targets,
    alignment_targets,
    encoder_targets,
    mfcc_targets,
)
from orality.progress import Progress, silent
from orality.types import UnitSpec

logger = logging.getLogger(__name__)

TargetKind = Literal["alignment", "mfcc", "encoder"]


@dataclass(frozen=True, slots=True)
class Quantizer:
    """What `train_quantizer` made: `folder` is a tokenizer checkpoint, `layer` an index into
    `hidden_states`; `quality`: `all` and per voice of the held-out speech, empty without phones."""

    folder: Path
    layer: int
    unit_spec: UnitSpec
    quality: dict[str, UnitQuality] = field(default_factory=dict)


def train_quantizer(
    speech: Sequence[Utterance],
    *,
    out: Path,
    dev: Sequence[Utterance] | None = None,
    targets: TargetKind = "mfcc",
    teacher: Path | None = None,
    teacher_layer: int | None = None,
    target_clusters: int = 100,
    num_units: int = 100,
    layer: int | None = None,
    name: str | None = None,
    settings: EncoderSettings | None = None,
    device: str = "auto",
    progress: Progress = silent,
) -> Quantizer:
    """Train an encoder on `speech`, cluster its best layer, and write `out/tokenizer`.

    `targets`: `mfcc` needs nothing but speech; `encoder` clusters `teacher`, a HuBERT folder made
    before, at `teacher_layer`, by default that of its units (HuBERT's later iterations);
    `alignment` classifies the phones that
    the corpus carries. `dev`: held-out speech; without it 2 % of the texts are held out.
    `layer`: by default the one whose units tell most about the phones of `dev`, or, where no
    phones are known, the layer at two thirds of the height. Call again after a kill: it
    continues. Raises CorpusError for unusable speech, TrainingError when training must stop.
    """
    settings = settings or EncoderSettings()
    if dev is None:
        speech, dev = held_out(speech)
    place = pick_device(device)
    wanted = _targets(
        [*speech, *dev], targets, teacher, teacher_layer, target_clusters, settings.seed, place,
        progress,
    )  # fmt: skip
    model = train_encoder(
        speech, dev, wanted, out=out / "encoder", settings=settings, device=device,
        progress=progress,
    ).hubert  # fmt: skip
    return quantize_encoder(
        model, speech, dev, out=out / "tokenizer", num_units=num_units, layer=layer, name=name,
        seed=settings.seed, progress=progress,
    )  # fmt: skip


def quantize_encoder(
    model: HubertModel,
    speech: Sequence[Utterance],
    dev: Sequence[Utterance],
    *,
    out: Path,
    num_units: int = 100,
    layer: int | None = None,
    name: str | None = None,
    fit_seconds: float = 3600.0,
    seed: int = 0,
    progress: Progress = silent,
) -> Quantizer:
    """Write `model` (in float16) and k-means over one of its layers as a tokenizer folder.

    Features and centroids come from the weights as they are shipped: rounded to float16. The
    k-means sees about `fit_seconds` of `speech`. `name`: the codebook's prefix, such as
    `orality-tiny-25hz`; by default `orality-RATEhz-` and the start of the fingerprint.
    """
    save_encoder(model, out)
    place = model.device
    shipped = load_hubert(out).to(place)
    known = all(utterance.phones for utterance in dev)
    last = int(shipped.config.num_hidden_layers)
    if layer is None:
        layers = list(range(1, last + 1)) if known else [max(1, round(last * 2 / 3))]
    else:
        layers = [layer]
    if not all(0 <= index <= last for index in layers):
        raise TrainingError(f"layer {layer} does not exist; this encoder has layers 0 to {last}")
    fitted = _some(speech, fit_seconds, seed)
    rows: dict[int, list[torch.Tensor]] = {index: [] for index in layers}
    for count, utterance in enumerate(fitted, 1):
        for index, features in layer_features(shipped, utterance.read(), layers).items():
            rows[index].append(features)
        progress("cluster features", count, len(fitted))
    best: tuple[float, int, torch.Tensor, dict[str, UnitQuality]] | None = None
    for count, index in enumerate(layers, 1):
        centroids = fit_kmeans(torch.cat(rows.pop(index)), num_units, seed=seed)
        quality = measure_units(shipped, index, centroids, dev) if known else {}
        score = quality["all"].pnmi if quality else 0.0
        logger.info("layer %d: %s", index, {k: v.as_dict() for k, v in quality.items()})
        progress("clusters", count, len(layers), f"layer {index} PNMI {score:.3f}")
        if best is None or score > best[0]:
            best = (score, index, centroids, quality)
    assert best is not None
    _, index, centroids, quality = best
    spec = write_codebook(out, shipped, index, centroids, name=name)
    if quality:
        figures = {voice: measured.as_dict() for voice, measured in quality.items()}
        _write_json(out / "quality.json", figures)
    return Quantizer(out, index, spec, quality)


def measure_units(
    model: HubertModel, layer: int, centroids: torch.Tensor, speech: Sequence[Utterance]
) -> dict[str, UnitQuality]:
    """Quality of the units on speech that carries phones: `all`, and per voice if several."""
    frames, inventory = frames_of(model.config), phone_inventory(speech)
    found: dict[str, list[tuple[Any, Any, float]]] = {}
    for utterance in speech:
        wave = utterance.read()
        ids = nearest(layer_features(model, wave, [layer])[layer], centroids)[0].cpu().numpy()
        phones = phones_at(utterance, frames.centers(len(ids)), inventory)
        entry = (ids, phones, len(wave) / SAMPLE_RATE)
        for group in ("all", utterance.voice or "unknown"):
            found.setdefault(group, []).append(entry)
    return {
        group: unit_quality([e[0] for e in some], [e[1] for e in some], sum(e[2] for e in some))
        for group, some in found.items()
    }


def save_encoder(model: HubertModel, out: Path) -> None:
    """The encoder as a transformers folder with float16 weights."""
    out.mkdir(parents=True, exist_ok=True)
    copy = HubertModel(model.config)
    copy.load_state_dict(model.state_dict())
    copy.half().save_pretrained(out)
    _write_json(
        out / "preprocessor_config.json",
        {
            "feature_extractor_type": "Wav2Vec2FeatureExtractor",
            "feature_size": 1,
            "sampling_rate": SAMPLE_RATE,
            "padding_value": 0.0,
            "padding_side": "right",
            "do_normalize": False,
            "return_attention_mask": False,
        },
    )


def write_codebook(
    out: Path, model: HubertModel, layer: int, centroids: torch.Tensor, *, name: str | None = None
) -> UnitSpec:
    """`kmeans.safetensors` and `units.json` beside the encoder in `out`; returns what they say."""
    table = centroids.float().cpu().contiguous()
    fingerprint = hashlib.sha256(table.numpy().tobytes()).hexdigest()
    rate = SAMPLE_RATE / frames_of(model.config).hop
    prefix = name or f"orality-{rate:g}hz-{fingerprint[:8]}"
    spec = UnitSpec(
        codebook=f"{prefix}/l{layer}/km{len(table)}",
        vocab_size=len(table),
        frame_rate=rate,
        fingerprint=fingerprint,
    )
    save_file({"centroids": table}, out / "kmeans.safetensors", metadata={"layer": str(layer)})
    _write_json(out / "units.json", asdict(spec))
    return spec


def _targets(
    speech: Sequence[Utterance],
    kind: TargetKind,
    teacher: Path | None,
    teacher_layer: int | None,
    clusters: int,
    seed: int,
    place: torch.device,
    progress: Progress,
) -> Targets:
    if kind == "alignment":
        return alignment_targets(speech)
    if kind == "mfcc":
        frames = frames_of(small_config())
        return mfcc_targets(
            speech, frames, num_clusters=clusters, seed=seed, device=place, progress=progress
        )
    if kind != "encoder":
        raise TrainingError(f"targets {kind!r} do not exist; use alignment, mfcc or encoder")
    if teacher is None:
        raise TrainingError("targets 'encoder' need a teacher: the folder of an earlier encoder")
    if teacher_layer is None:
        teacher_layer = _own_layer(teacher)
    return encoder_targets(
        speech, teacher, teacher_layer, num_clusters=clusters, seed=seed, device=place,
        progress=progress,
    )  # fmt: skip


def _own_layer(teacher: Path) -> int:
    """The layer that the teacher's own units are over; its last one where it has no units."""
    stated = read_unit_spec(teacher).codebook if (teacher / "units.json").is_file() else ""
    found = re.search(r"/l(\d+)/", stated)
    return int(found.group(1)) if found else -1


def _some(speech: Sequence[Utterance], seconds: float, seed: int) -> list[Utterance]:
    """Utterances drawn at random until there are `seconds` of them."""
    chosen: list[Utterance] = []
    left = seconds * SAMPLE_RATE
    for index in rng_of(seed, 53).permutation(len(speech)):
        if left <= 0:
            break
        chosen.append(speech[int(index)])
        left -= speech[int(index)].length
    return chosen


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
