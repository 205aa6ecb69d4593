"""Files from strangers, one of each kind: nothing in them runs, and the error names what is wrong.

Kinds that only one plugin reads (NeMo's archives, zipped models) are tested with that plugin.
"""

from __future__ import annotations

import json
import pickle
import resource
import shutil
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import orality
from orality import OralityError
from orality.corpus import load_corpus
from orality.recipe import Recipe

GOLDEN = Path(__file__).parents[1] / "golden"
SECONDS, BYTES = 2.0, 500e6


class Touch:
    """Unpickled, it makes a file: the proof that something ran."""

    def __init__(self, sentinel: Path) -> None:
        self.sentinel = sentinel

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.sentinel,)


def copied(name: str, to: Path) -> Path:
    shutil.copytree(GOLDEN / name, to / name)
    return to / name


def build(kind: str, name: str, **options: Any) -> None:
    orality.build(kind, name, device="cpu", **options)


@pytest.fixture(scope="module", autouse=True)
def what_is_imported_once() -> None:
    """Loading the libraries is no part of an attack's time."""
    kmeans = str(GOLDEN / "hubert25/km500.bin")
    build("tokenizer", "hubert", checkpoint=str(GOLDEN / "hubert25/hf"), kmeans=kmeans, layer=11)
    build("slm", "twist", checkpoint=str(GOLDEN / "twist_opt350m_like"))
    build("vocoder", "hifigan", checkpoint=str(GOLDEN / "vocoder_lj25"))


def joblib_reduce(folder: Path, sentinel: Path) -> None:
    file = folder / "km.bin"
    file.write_bytes(pickle.dumps({"cluster_centers_": Touch(sentinel)}))
    build("tokenizer", "hubert", checkpoint=str(GOLDEN / "hubert25/hf"), kmeans=str(file), layer=11)


def joblib_objects(folder: Path, sentinel: Path) -> None:
    file = folder / "km.bin"
    content = (GOLDEN / "hubert25/km500.bin").read_bytes()
    file.write_bytes(content.replace(b"\x8c\x02f4", b"\x8c\x02O8", 1))
    build("tokenizer", "hubert", checkpoint=str(GOLDEN / "hubert25/hf"), kmeans=str(file), layer=11)


def npy_objects(folder: Path, sentinel: Path) -> None:
    file = folder / "km.npy"
    np.save(file, np.array([[Touch(sentinel)]], dtype=object), allow_pickle=True)
    build("tokenizer", "hubert", checkpoint=str(GOLDEN / "hubert25/hf"), kmeans=str(file), layer=11)


def fairseq_reduce(folder: Path, sentinel: Path) -> None:
    file = folder / "hubert.pt"
    torch.save({"cfg": {"model": {}}, "model": Touch(sentinel)}, file)
    kmeans = str(GOLDEN / "hubert25/km500.bin")
    build("tokenizer", "hubert", checkpoint=str(file), kmeans=kmeans, layer=11)


def generator_reduce(folder: Path, sentinel: Path) -> None:
    vocoder = copied("vocoder_lj25", folder)
    torch.save({"generator": {"conv_pre.bias": Touch(sentinel)}}, vocoder / "generator.pt")
    build("vocoder", "hifigan", checkpoint=str(vocoder))


def bin_reduce(folder: Path, sentinel: Path) -> None:
    slm = copied("twist_opt350m_like", folder)
    torch.save({"lm_head.weight": Touch(sentinel)}, slm / "pytorch_model.bin")
    build("slm", "twist", checkpoint=str(slm))


def huge_header(folder: Path, sentinel: Path) -> None:
    vocoder = copied("vocoder_lj25", folder)
    (vocoder / "generator.safetensors").write_bytes(struct.pack("<Q", 1 << 40) + b"{}")
    build("vocoder", "hifigan", checkpoint=str(vocoder))


def overlapping_tensors(folder: Path, sentinel: Path) -> None:
    slm = copied("twist_opt350m_like", folder)
    (slm / "pytorch_model.bin").unlink()
    tensor = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}
    header = json.dumps({"a": tensor, "b": tensor}).encode()
    content = struct.pack("<Q", len(header)) + header + bytes(16)
    (slm / "model.safetensors").write_bytes(content)
    build("slm", "twist", checkpoint=str(slm))


def more_than_the_file(folder: Path, sentinel: Path) -> None:
    file = folder / "km.safetensors"
    tensor = {"dtype": "F32", "shape": [1 << 20, 1 << 20], "data_offsets": [0, 1 << 42]}
    header = json.dumps({"centroids": tensor}).encode()
    file.write_bytes(struct.pack("<Q", len(header)) + header)
    build("tokenizer", "hubert", checkpoint=str(GOLDEN / "hubert25/hf"), kmeans=str(file), layer=11)


def code_of_its_own(folder: Path, sentinel: Path) -> None:
    slm = copied("twist_opt350m_like", folder)
    config = json.loads((slm / "config.json").read_text())
    config |= {
        "model_type": "stranger",
        "auto_map": {"AutoConfig": "own.Config", "AutoModelForCausalLM": "own.Model"},
    }
    (slm / "config.json").write_text(json.dumps(config))
    (slm / "own.py").write_text(f"import pathlib\npathlib.Path({str(sentinel)!r}).touch()\n")
    build("slm", "twist", checkpoint=str(slm))


def layers_that_call(folder: Path, sentinel: Path) -> None:
    expression = f"__import__('pathlib').Path({str(sentinel)!r}).touch()"
    model = {
        "conv_feature_layers": expression, "encoder_embed_dim": 32, "encoder_layers": 2,
        "encoder_attention_heads": 2, "encoder_ffn_embed_dim": 64,
    }  # fmt: skip
    torch.save({"cfg": {"model": model, "task": {}}, "model": {}}, folder / "hubert.pt")
    kmeans = str(GOLDEN / "hubert25/km500.bin")
    build("tokenizer", "hubert", checkpoint=str(folder / "hubert.pt"), kmeans=kmeans, layer=11)


def yaml_object(folder: Path, sentinel: Path) -> None:
    file = folder / "recipe.yaml"
    file.write_text(f"name: !!python/object/apply:os.mknod [{str(sentinel)!r}]\n")
    Recipe.load(file)


def endless_textgrid(folder: Path, sentinel: Path) -> None:
    intervals = "".join(f'{i} {i + 1} "word"\n' for i in range(10**6))
    head = '"ooTextFile" "TextGrid" 0 1000000 <exists> 1 "IntervalTier" "words" 0 1000000 1000000\n'
    (folder / "a.TextGrid").write_text(head + intervals)
    (folder / "a.wav").touch()
    load_corpus(folder)[0].load()


@pytest.mark.parametrize(
    "attack",
    [
        joblib_reduce, joblib_objects, npy_objects, fairseq_reduce, generator_reduce, bin_reduce,
        huge_header, overlapping_tensors, more_than_the_file, code_of_its_own, layers_that_call,
        yaml_object, endless_textgrid,
    ],
)  # fmt: skip
def test_a_hostile_file_is_refused_by_name_at_once_and_runs_nothing(
    attack: Callable[[Path, Path], None], tmp_path: Path
) -> None:
    sentinel = tmp_path / "ran"
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    with pytest.raises(OralityError) as caught:
        attack(tmp_path, sentinel)
    assert not sentinel.exists()
    assert str(tmp_path) in str(caught.value), caught.value
    assert time.process_time() - began < SECONDS
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) * 1024 < BYTES


def test_the_sentinel_would_show_what_runs(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Touch(tmp_path / "ran")))
    assert (tmp_path / "ran").exists()
