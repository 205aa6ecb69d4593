"""Which files count as weights, and whose word their sha256 is."""

from __future__ import annotations

import json
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

import pytest

from orality.weights import WeightFile, weight_files

ABC = sha256(b"abc").hexdigest()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ORALITY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def folder(path: Path, *names: str) -> Path:
    """A folder of files that each hold b"abc"."""
    path.mkdir(parents=True)
    for name in names:
        (path / name).write_bytes(b"abc")
    return path


def names(*paths: Path) -> list[str]:
    return [found.file for found in weight_files(paths)]


def test_a_file_is_named_sized_and_hashed(tmp_path: Path) -> None:
    file = folder(tmp_path / "model", "hubert.pt") / "hubert.pt"
    assert weight_files([file]) == [WeightFile("model/hubert.pt", 3, ABC, "when built")]


def test_of_a_folder_its_weights_count_and_nothing_else(tmp_path: Path) -> None:
    made = folder(
        tmp_path / "tiny", "config.json", "README.md", "model.safetensors", "kmeans.safetensors"
    )
    folder(made / "training", "optimizer.pt")
    assert names(made) == ["tiny/kmeans.safetensors", "tiny/model.safetensors"]


def test_safetensors_stand_for_the_same_weights_in_other_formats(tmp_path: Path) -> None:
    made = folder(tmp_path / "twist", "pytorch_model.bin", "optimizer.pt", "model.safetensors")
    assert names(made) == ["twist/model.safetensors"]
    assert names(folder(tmp_path / "lj", "generator.pt", "config.json")) == ["lj/generator.pt"]


def test_the_files_of_several_checkpoints_follow_each_other(tmp_path: Path) -> None:
    encoder = folder(tmp_path / "encoder", "model.safetensors")
    kmeans = folder(tmp_path / "units", "km500.bin") / "km500.bin"
    assert names(encoder, kmeans) == ["encoder/model.safetensors", "units/km500.bin"]
    assert weight_files([]) == []


def test_fetched_weights_keep_the_sha256_they_arrived_with(cache: Path) -> None:
    made = folder(cache / "checkpoints" / "acme-0123", "model.safetensors", "new.safetensors")
    receipt = {"name": "acme", "sha256": {"model.safetensors": "ab" * 32}}
    (made / "source.json").write_text(json.dumps(receipt))
    assert [asdict(found) for found in weight_files([made])] == [
        {
            "file": "acme-0123/model.safetensors",
            "bytes": 3,
            "sha256": "ab" * 32,
            "hashed": "when fetched",
        },
        {"file": "acme-0123/new.safetensors", "bytes": 3, "sha256": ABC, "hashed": "when built"},
    ]


def test_a_receipt_outside_the_cache_or_a_damaged_one_is_no_proof(
    cache: Path, tmp_path: Path
) -> None:
    copied = folder(tmp_path / "copied", "model.safetensors")
    (copied / "source.json").write_text('{"sha256": {"model.safetensors": "ab"}}')
    damaged = folder(cache / "checkpoints" / "acme-0123", "model.safetensors", "source.json")
    assert [found.sha256 for found in weight_files([copied, damaged])] == [ABC, ABC]


def test_files_that_a_hub_links_to_are_named_by_their_revision(tmp_path: Path) -> None:
    blob = folder(tmp_path / "blobs", "0f0f") / "0f0f"
    snapshot = folder(tmp_path / "snapshots" / "a319086")
    (snapshot / "model.safetensors").symlink_to(blob)
    assert weight_files([snapshot]) == [
        WeightFile("a319086/model.safetensors", 3, ABC, "when built")
    ]
