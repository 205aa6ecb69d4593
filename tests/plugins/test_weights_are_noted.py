"""What a run's manifest says of the shipped checkpoints once they are built."""

from __future__ import annotations

import pytest

from orality import load
from orality.checkpoints import noted_checkpoints
from orality.weights import weight_files


@pytest.mark.parametrize(
    ("kind", "name", "files"),
    [
        ("tokenizer", "hubert", ["tiny/kmeans.safetensors", "tiny/model.safetensors"]),
        ("slm", "twist", ["tiny/model.safetensors"]),
        ("vocoder", "hifigan", ["tiny/generator.safetensors"]),
    ],
)
def test_building_notes_the_weights_and_describing_nothing(
    kind: str, name: str, files: list[str]
) -> None:
    component, config = load().configure(kind, name, checkpoint="tiny")
    component.spec.describe(config)  # type: ignore[attr-defined]
    with noted_checkpoints() as noted:
        component.spec.build(config)
    assert [found.file for found in weight_files(noted)] == files
