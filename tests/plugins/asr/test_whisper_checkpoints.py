"""Whisper folders in every form that transformers writes, and folders that only look like one."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import orality
from orality import CheckpointError, CompatibilityError, Waveform
from orality.weights import Hub
from orality_asr_whisper.checkpoint import NAMES
from orality_asr_whisper.loading import habits

RATE = 16000
WORDS = ["Ġa", "Ġb", "Ġc", "d", "e", ".", "'", "Ġ"]
SPECIALS = [
    "<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|de|>", "<|translate|>",
    "<|transcribe|>", "<|nospeech|>", "<|notimestamps|>", "<|0.00|>",
]  # fmt: skip
GENERATION = {
    "suppress_tokens": [5, 6], "begin_suppress_tokens": [7, 8], "is_multilingual": True,
    "alignment_heads": [[1, 0], [1, 3]],
}  # fmt: skip


@pytest.fixture(scope="module")
def model() -> Any:
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    torch.manual_seed(2)
    config = WhisperConfig(
        vocab_size=len(WORDS) + len(SPECIALS), num_mel_bins=80, d_model=32, encoder_layers=2,
        decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=4,
        encoder_ffn_dim=64, decoder_ffn_dim=64, max_source_positions=1500,
        max_target_positions=60, pad_token_id=8, bos_token_id=8, eos_token_id=8,
        decoder_start_token_id=9, init_std=0.3,
    )  # fmt: skip
    return WhisperForConditionalGeneration(config)


@pytest.fixture(scope="module")
def folder(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tokenizers import AddedToken, Tokenizer, decoders
    from tokenizers.models import BPE

    folder = tmp_path_factory.mktemp("whisper")
    model.save_pretrained(folder)
    (folder / "generation_config.json").write_text(json.dumps(GENERATION))
    tokenizer = Tokenizer(BPE({word: index for index, word in enumerate(WORDS)}, []))
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in SPECIALS])
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def build(folder: Path, **options: Any) -> Any:
    return orality.build(
        "transcriber", "whisper", checkpoint=str(folder), device="cpu",
        no_speech_threshold=1.0, **options,
    )  # fmt: skip


def sound(seconds: float, seed: int = 0) -> Waveform:
    time = np.arange(int(seconds * RATE)) / RATE
    noise = np.random.default_rng(seed).normal(0, 0.02, len(time))
    samples = 0.2 * np.sin(2 * np.pi * 330 * (1 + seed) * time) + noise
    return Waveform(samples.astype(np.float32), RATE)


def heard(folder: Path) -> list[str]:
    return [t.text for t in build(folder).transcribe([sound(1.0), sound(1.7, 1), sound(0.6, 2)])]


def pickled(folder: Path, state: Any) -> Path:
    (folder / "model.safetensors").unlink()
    torch.save(state, folder / "pytorch_model.bin")
    return folder


def test_shards_and_pickles_give_the_texts_of_the_single_file(model: Any, folder: Path, copy: Path):
    wanted = heard(folder)
    assert len(set(wanted)) > 1
    assert heard(pickled(copy, model.state_dict())) == wanted
    (copy / "pytorch_model.bin").unlink()
    model.save_pretrained(copy, max_shard_size="60KB")
    (copy / "generation_config.json").write_text(json.dumps(GENERATION))
    assert (copy / "model.safetensors.index.json").exists()
    assert heard(copy) == wanted


def test_a_tokenizer_in_two_files_is_the_one_in_a_single_file(folder: Path, copy: Path):
    (copy / "tokenizer.json").unlink()
    (copy / "vocab.json").write_text(json.dumps({w: i for i, w in enumerate([*WORDS, *SPECIALS])}))
    (copy / "merges.txt").write_text("#version: 0.2\n")
    (copy / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "WhisperTokenizer", "additional_special_tokens": SPECIALS})
    )
    assert heard(copy) == heard(folder)


class Trap:
    def __init__(self, sentinel: Path) -> None:
        self.sentinel = sentinel

    def __reduce__(self) -> Any:
        return Path.touch, (self.sentinel,)


def test_a_pickle_that_runs_is_refused_and_does_not_run(model: Any, copy: Path, monkeypatch: Any):
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    sentinel = copy / "sentinel"
    pickled(copy, model.state_dict() | {"trap": Trap(sentinel)})
    with pytest.raises(CheckpointError, match="cannot be read"):
        build(copy)
    (copy / "pytorch_model.bin").write_bytes(pickle.dumps(Trap(sentinel)))
    with pytest.raises(CheckpointError, match="cannot be read"):
        build(copy)
    assert not sentinel.exists()


def test_code_beside_the_weights_is_not_run(copy: Path):
    sentinel = copy / "sentinel"
    (copy / "evil.py").write_text(f"open({str(sentinel)!r}, 'w')\nclass Evil: pass\n")
    config = json.loads((copy / "config.json").read_text())
    config["auto_map"] = {"AutoModelForSpeechSeq2Seq": "evil.Evil", "AutoConfig": "evil.Evil"}
    (copy / "config.json").write_text(json.dumps(config))
    heard(copy)
    assert not sentinel.exists()


def test_missing_strange_and_misshapen_weights_are_refused(model: Any, copy: Path):
    from safetensors.torch import load_file, save_file

    path = copy / "model.safetensors"
    whole = load_file(path)
    name = "model.encoder.conv1.weight"
    for state, match in (
        ({k: v for k, v in whole.items() if k != name}, f"lacks {name}"),
        (whole | {"other.weight": torch.ones(2)}, r"does not know: other\.weight"),
        (whole | {name: torch.ones(2, 3, 3)}, "mismatched"),
    ):
        save_file(state, path, metadata={"format": "pt"})
        with pytest.raises(CheckpointError, match=match):
            build(copy)


def test_a_folder_without_weights_or_tokenizer_is_refused(copy: Path):
    (copy / "tokenizer.json").unlink()
    with pytest.raises(CheckpointError, match="no tokenizer"):
        build(copy)
    (copy / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="cannot be read as a transformers Whisper"):
        build(copy)


def test_what_the_decoder_may_not_say_comes_from_either_file(copy: Path):
    found = habits(copy)
    assert (found.suppressed, found.suppressed_first) == ((5, 6), (7, 8))
    assert found.alignment_heads == ((1, 0), (1, 3))
    assert found.multilingual
    (copy / "generation_config.json").unlink()
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"suppress_tokens": [1, -1]}))
    found = habits(copy)
    assert found.suppressed == (1,)
    assert not found.multilingual  # as its vocabulary is a small one
    # Without a list, all heads of the upper half follow the speech.
    assert found.alignment_heads == ((1, 0), (1, 1), (1, 2), (1, 3))
    (copy / "generation_config.json").write_text(json.dumps({"alignment_heads": [[2, 0]]}))
    with pytest.raises(CheckpointError, match="alignment_heads"):
        habits(copy)


def test_suppressed_tokens_are_never_written(folder: Path):
    texts = " ".join(heard(folder))
    assert texts
    assert not set(texts) & {".", "'"}


def test_a_multilingual_model_is_told_language_and_task(folder: Path):
    names = {name: len(WORDS) + index for index, name in enumerate(SPECIALS)}

    def prompt(transcriber: Any, language: str) -> list[str]:
        ids = transcriber._rules(language).prompt
        return [name for i in ids for name, number in names.items() if number == i]

    german = prompt(build(folder), "de")
    assert german == ["<|startoftranscript|>", "<|de|>", "<|transcribe|>", "<|notimestamps|>"]
    translating = build(folder, task="translate", language="de")
    assert prompt(translating, "de")[2] == "<|translate|>"
    (found,) = translating.transcribe([sound(1.0)])
    assert (found.language, found.task) == ("en", "translate")
    (found,) = build(folder).transcribe([sound(1.0)], language="de")
    assert (found.language, found.task) == ("de", "transcribe")
    with pytest.raises(CompatibilityError, match="'fr'"):
        build(folder).transcribe([sound(1.0)], language="fr")


def test_a_translation_has_no_word_times(folder: Path):
    with pytest.raises(orality.RecipeError, match="never spoken"):
        build(folder, task="translate", timestamps=True)


def test_the_large_models_are_named_by_pinned_revisions():
    from orality.weights.catalog import CATALOG

    for name in ("large-v2", "large-v3"):
        checkpoint = CATALOG[str(NAMES[name])]
        (source,) = checkpoint.sources
        assert isinstance(source, Hub)
        assert source.repository == f"openai/whisper-{name}"
        assert len(source.revision) == 40
        assert "model.safetensors" in source.files
