"""A config that describes a larger model than its weights are is refused before memory is taken."""

from __future__ import annotations

import importlib
import json
import shutil
from pathlib import Path

import pytest

import orality
from orality import CheckpointError

CASES = [
    ("vocoder", "hifigan", "orality_vocoder_hifigan", {"num_embeddings": 2_000_000}),
    ("vocoder", "hifigan", "orality_vocoder_hifigan", {"upsample_initial_channel": 65_536}),
    ("tokenizer", "hubert", "orality_tokenizer_hubert", {"num_hidden_layers": 3000}),
    ("tokenizer", "hubert", "orality_tokenizer_hubert", {"intermediate_size": 1_000_000}),
    ("slm", "twist", "orality_slm_twist", {"vocab_size": 1_000_000}),
    ("slm", "twist", "orality_slm_twist", {"num_hidden_layers": 3000}),
]


@pytest.mark.parametrize(("kind", "name", "package", "changes"), CASES)
def test_a_config_of_another_size_is_refused(tmp_path, kind, name, package, changes):
    module = importlib.import_module(package)
    folder = tmp_path / "copied"
    shutil.copytree(Path(str(module.__file__)).parent / "tiny", folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))
    with pytest.raises(CheckpointError, match="do not belong together|config"):
        orality.build(kind, name, checkpoint=str(folder), device="cpu")
