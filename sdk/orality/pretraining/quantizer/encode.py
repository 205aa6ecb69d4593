"""Speech to frame units, kept on disk in chunks so that a killed run encodes nothing twice."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import load_file

from orality.checkpoints import read_unit_spec
from orality.errors import CheckpointError, CorpusError
from orality.pretraining.data import Utterance
from orality.pretraining.loop import pick_device
from orality.pretraining.quantizer.encoder import layer_features, load_hubert
from orality.pretraining.quantizer.kmeans import nearest
from orality.progress import Progress, silent
from orality.store import atomic_write

Ids = NDArray[np.int64]

CHUNK = 500  # utterances per file


def layer_of(folder: Path) -> int:
    """Which of the `hidden_states` a tokenizer folder clusters."""
    codebook = read_unit_spec(folder).codebook
    found = re.search(r"/l(\d+)/", codebook)
    if found is None:
        raise CheckpointError(f"the codebook {codebook!r} of {folder} names no layer")
    return int(found.group(1))


def encode_frames(
    tokenizer: Path,
    speech: Sequence[Utterance],
    *,
    cache: Path,
    device: str = "auto",
    progress: Progress = silent,
    name: str = "encode",
) -> dict[str, Ids]:
    """The unit of every frame, before de-duplication, by utterance id: int64 (frames,).

    `tokenizer`: a folder that `train_quantizer` wrote. Chunks that `cache` holds are read; those of
    other recordings or another codebook raise CorpusError.
    """
    layer, fingerprint = layer_of(tokenizer), read_unit_spec(tokenizer).fingerprint or ""
    place = pick_device(device)
    model = centroids = None
    units: dict[str, Ids] = {}
    for start in range(0, len(speech), CHUNK):
        batch = speech[start : start + CHUNK]
        path = cache / f"units-{start:07d}.npz"
        if not path.exists():
            if model is None or centroids is None:
                model = load_hubert(tokenizer).to(place)
                centroids = load_file(tokenizer / "kmeans.safetensors")["centroids"].to(place)
            rows = []
            for utterance in batch:
                features = layer_features(model, utterance.read(), [layer])[layer]
                rows.append(nearest(features, centroids)[0].cpu().numpy().astype(np.int16))
            _write(path, [item.id for item in batch], rows, fingerprint)
        with np.load(path, allow_pickle=False) as chunk:
            if chunk["ids"].tolist() != [item.id for item in batch] or (
                str(chunk["fingerprint"]) != fingerprint
            ):
                raise CorpusError(
                    f"{path} holds units of other recordings: the corpus has changed since this "
                    "training was begun; restore it, or begin again in another folder"
                )
            ends = np.cumsum(chunk["lengths"])
            flat = chunk["units"].astype(np.int64)
            for key, length, end in zip(chunk["ids"], chunk["lengths"], ends, strict=True):
                units[str(key)] = flat[end - length : end]
        progress(name, min(start + CHUNK, len(speech)), len(speech))
    return units


def deduplicate(frames: Ids) -> Ids:
    """Frame units without immediate repeats."""
    if not len(frames):
        return frames
    kept: Ids = frames[np.concatenate([[True], frames[1:] != frames[:-1]])]
    return kept


def _write(path: Path, ids: list[str], rows: list[NDArray[np.int16]], fingerprint: str) -> None:
    flat = np.concatenate(rows) if rows else np.zeros(0, np.int16)
    atomic_write(
        path,
        lambda file: np.savez(
            file,
            units=flat,
            lengths=np.array([len(row) for row in rows]),
            ids=np.array(ids),
            fingerprint=np.array(fingerprint),
        ),
    )
