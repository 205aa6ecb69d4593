"""The hubert tokenizer against textlesslib's numbers, and on everything a recording can be."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file

from orality import AudioError, CheckpointError, UnitSpec, Waveform
from orality.testing import TokenizerTests
from orality_tokenizer_hubert import HubertTokenizerConfig, orality_tokenizers
from orality_tokenizer_hubert.folder import describe, receptive_field
from orality_tokenizer_hubert.loading import load_hubert_tokenizer
from orality_tokenizer_hubert.tokenizer import HubertTokenizer

GOLDEN = Path(__file__).parents[2] / "golden" / "hubert25"
EXPECTED = np.load(GOLDEN / "expected.npz")
TINY = UnitSpec("orality-tiny-25hz/l5/km100", 100, 25.0)


class TestTinyKeepsTheContract(TokenizerTests):
    name = "hubert"


def golden(name: str) -> Waveform:
    return Waveform(EXPECTED[f"wav_{name}"], 16_000)


def noise(samples: int, seed: int = 0, rate: int = 16_000) -> Waveform:
    rng = np.random.default_rng(seed)
    return Waveform((0.1 * rng.standard_normal(samples)).astype(np.float32), rate)


@pytest.fixture(scope="module")
def tiny() -> HubertTokenizer:
    return load_hubert_tokenizer("tiny", device="cpu")


@pytest.fixture(params=["hf", "hubert_fairseq.pt"])
def official(request: pytest.FixtureRequest) -> HubertTokenizer:
    return load_hubert_tokenizer(
        GOLDEN / request.param, kmeans=GOLDEN / "km500.bin", layer=11, device="cpu"
    )


@pytest.mark.parametrize("name", ["w1", "w2"])
def test_units_and_durations_equal_the_reference(official: HubertTokenizer, name: str) -> None:
    units = official.encode([golden(name)])[0]
    np.testing.assert_array_equal(units.ids, EXPECTED[f"km500_dedup_{name}"])
    np.testing.assert_array_equal(units.durations, EXPECTED[f"km500_dur_{name}"])


def test_a_batch_changes_no_units(official: HubertTokenizer) -> None:
    together = official.encode([golden("w1"), golden("w2"), golden("w1")])
    for units, name in zip(together, ("w1", "w2", "w1"), strict=True):
        np.testing.assert_array_equal(units.ids, EXPECTED[f"km500_dedup_{name}"])
    # a toolkit that pads with zeros answers differently: the comparison can fail
    assert (EXPECTED["km500_slamkit_batch_w1"] != EXPECTED["km500_units_w1"]).any()


def test_chunks_without_overlap_equal_the_reference() -> None:
    tokenizer = load_hubert_tokenizer(
        GOLDEN / "hf", kmeans=GOLDEN / "km500.bin", layer=11, max_chunk_seconds=1.0, device="cpu"
    )
    np.testing.assert_array_equal(
        tokenizer.frame_units(golden("w2")), EXPECTED["km500_units_w2_chunk16000"]
    )


def test_a_last_chunk_shorter_than_a_frame_is_left_out() -> None:
    tokenizer = load_hubert_tokenizer("tiny", max_chunk_seconds=1.0, device="cpu")
    wave = noise(16_000 + 719)
    first = Waveform(wave.samples[:16_000], 16_000)
    np.testing.assert_array_equal(tokenizer.frame_units(wave), tokenizer.frame_units(first))
    assert len(tokenizer.frame_units(noise(16_000 + 720))) == 24 + 1


@pytest.mark.parametrize(("wrong", "layer"), [("layer10", 10), ("layer12", 12)])
def test_another_layer_gives_other_units(wrong: str, layer: int) -> None:
    tokenizer = load_hubert_tokenizer(
        GOLDEN / "hf", kmeans=GOLDEN / "km500.bin", layer=layer, device="cpu"
    )
    assert (tokenizer.frame_units(golden("w1")) != EXPECTED["km500_units_w1"]).any(), wrong


@pytest.mark.parametrize("file", ["km500.bin", "km500.centroids.npy"])
def test_every_kmeans_container_gives_the_same_units(file: str) -> None:
    tokenizer = load_hubert_tokenizer(GOLDEN / "hf", kmeans=GOLDEN / file, layer=11, device="cpu")
    np.testing.assert_array_equal(tokenizer.frame_units(golden("w1")), EXPECTED["km500_units_w1"])


def test_frame_counts_equal_the_reference(tiny: HubertTokenizer) -> None:
    for samples, frames in zip(EXPECTED["frames_in"], EXPECTED["frames_out"], strict=True):
        assert len(tiny.frame_units(noise(int(samples)))) == frames


@pytest.mark.parametrize("samples", [0, 1, 719])
def test_a_recording_shorter_than_a_frame_has_no_units(
    official: HubertTokenizer, samples: int
) -> None:
    units = official.encode([Waveform(np.zeros(samples, np.float32), 16_000)])[0]
    assert units.ids.shape == (0,)
    assert units.durations is not None
    assert units.durations.shape == (0,)


def test_other_rates_are_resampled(tiny: HubertTokenizer) -> None:
    ids = tiny.frame_units(noise(48_000, rate=24_000))
    assert len(ids) == (32_000 - 720) // 640 + 1


def test_samples_that_are_not_finite_are_refused(tiny: HubertTokenizer) -> None:
    wave = Waveform(np.full(16_000, np.nan, np.float32), 16_000)
    with pytest.raises(AudioError, match="not finite"):
        tiny.encode([wave])


def test_silence_and_read_only_samples_are_encoded(tiny: HubertTokenizer) -> None:
    samples = np.zeros(16_000, np.float32)
    samples.flags.writeable = False
    units = tiny.encode([Waveform(samples, 16_000)])[0]
    assert units.durations is not None
    assert units.durations.sum() == 24


def test_normalizing_removes_gain_and_offset() -> None:
    tokenizer = load_hubert_tokenizer("tiny", normalize=True, device="cpu")
    wave = noise(32_000)
    other = Waveform((0.5 * wave.samples + 0.2).astype(np.float32), 16_000)
    plain = tokenizer.features(wave)
    assert torch.allclose(plain, tokenizer.features(other), atol=2e-2)


def test_units_can_be_kept_as_frames() -> None:
    merged = load_hubert_tokenizer("tiny", device="cpu")
    frames = load_hubert_tokenizer("tiny", deduplicate=False, device="cpu")
    wave = noise(32_000)
    units, each = merged.encode([wave])[0], frames.encode([wave])[0]
    assert not frames.unit_spec.deduplicated
    np.testing.assert_array_equal(np.repeat(units.ids, units.durations), each.ids)


def test_describing_tells_what_building_gives(tiny: HubertTokenizer) -> None:
    spec = next(iter(orality_tokenizers()))
    described = spec.describe(HubertTokenizerConfig())
    assert described == tiny.unit_spec
    assert described is not None
    assert (described.codebook, described.vocab_size) == (TINY.codebook, TINY.vocab_size)


def test_describing_imports_no_torch() -> None:
    code = (
        "import sys; from orality_tokenizer_hubert import *\n"
        "spec = next(iter(orality_tokenizers())); config = HubertTokenizerConfig()\n"
        "assert spec.describe(config).vocab_size == 100\n"
        f"other = HubertTokenizerConfig(checkpoint={str(GOLDEN / 'hf')!r},"
        f" kmeans={str(GOLDEN / 'km500.bin')!r}, layer=11)\n"
        "assert spec.describe(other).vocab_size == 500\n"
        "sys.exit('torch' in sys.modules)"
    )
    environment = {"PYTHONPATH": ":".join(path for path in sys.path if path)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


def test_the_published_units_are_known_by_name() -> None:
    assert describe("mhubert-base-25hz") == UnitSpec("mhubert-base-25hz/l11/km500", 500, 25.0)
    assert describe("mhubert-base-25hz", layer=9) is None


def test_the_layer_is_read_off_a_kmeans_file_name(tmp_path: Path) -> None:
    file = tmp_path / "mhubert_base_25hz_cp_mls_cv_sp_fisher_L11_km500.bin"
    shutil.copy(GOLDEN / "km500.bin", file)
    tokenizer = load_hubert_tokenizer(GOLDEN / "hf", kmeans=file, device="cpu")
    assert tokenizer.unit_spec.codebook == "hf/l11/km500"


def test_no_layer_anywhere_is_an_error() -> None:
    with pytest.raises(CheckpointError, match="set `layer`"):
        load_hubert_tokenizer(GOLDEN / "hf", kmeans=GOLDEN / "km500.bin")


def test_a_folder_without_kmeans_asks_for_one() -> None:
    with pytest.raises(CheckpointError, match="name a file by `kmeans`"):
        load_hubert_tokenizer(GOLDEN / "hf", layer=11)


def test_a_layer_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(CheckpointError, match="layers 0 to 12"):
        load_hubert_tokenizer(GOLDEN / "hf", kmeans=GOLDEN / "km500.bin", layer=13)


def copy_with(tmp_path: Path, change: object) -> Path:
    folder = tmp_path / "hf"
    shutil.copytree(GOLDEN / "hf", folder)
    state = load_file(folder / "model.safetensors")
    save_file(change(state), folder / "model.safetensors")  # type: ignore[operator]
    return folder


def test_a_missing_tensor_is_an_error(tmp_path: Path) -> None:
    def drop(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {name: value for name, value in state.items() if "batch_norm" not in name}

    with pytest.raises(CheckpointError, match=r"lacks: .*batch_norm"):
        load_hubert_tokenizer(copy_with(tmp_path, drop), kmeans=GOLDEN / "km500.bin", layer=11)


def test_an_unknown_tensor_is_an_error(tmp_path: Path) -> None:
    def add(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {**state, "lm_head.weight": torch.zeros(2, 2)}

    with pytest.raises(CheckpointError, match=r"unknown tensors: lm_head\.weight"):
        load_hubert_tokenizer(copy_with(tmp_path, add), kmeans=GOLDEN / "km500.bin", layer=11)


def test_the_conversion_scripts_names_are_understood(tmp_path: Path) -> None:
    def rename(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        old = "encoder.pos_conv_embed."
        return {
            name.replace(old + "conv.", old + "conv.1.").replace(
                old + "batch_norm.", old + "conv.0."
            ): value
            for name, value in state.items()
        }

    tokenizer = load_hubert_tokenizer(
        copy_with(tmp_path, rename), kmeans=GOLDEN / "km500.bin", layer=11, device="cpu"
    )
    np.testing.assert_array_equal(tokenizer.frame_units(golden("w1")), EXPECTED["km500_units_w1"])


def test_units_json_of_another_kmeans_is_refused(tmp_path: Path) -> None:
    source = Path(sys.modules["orality_tokenizer_hubert"].__file__ or "").parent / "tiny"
    folder = tmp_path / "copy"
    shutil.copytree(source, folder)
    units = json.loads((folder / "units.json").read_text())
    (folder / "units.json").write_text(json.dumps({**units, "fingerprint": "0" * 64}))
    with pytest.raises(CheckpointError, match="does not belong"):
        describe(str(folder))


def test_an_index_that_names_no_files_is_refused(tmp_path: Path) -> None:
    shutil.copy(GOLDEN / "hf" / "config.json", tmp_path)
    (tmp_path / "model.safetensors.index.json").write_text('{"metadata": {}}')
    with pytest.raises(CheckpointError, match=r"index.json has no weight_map"):
        load_hubert_tokenizer(tmp_path, kmeans=GOLDEN / "km500.bin", layer=11, device="cpu")


def test_a_name_nobody_knows_is_an_error() -> None:
    with pytest.raises(CheckpointError):
        load_hubert_tokenizer("./nowhere")


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(ValidationError):
        HubertTokenizerConfig(kmean="x")  # type: ignore[call-arg]


def test_the_receptive_field_of_the_published_stack_is_720_samples() -> None:
    # 10, then +2*5, +2*10, +2*20, +2*40, +1*80, +1*160, +1*320
    assert receptive_field([10, 3, 3, 3, 3, 2, 2, 2], [5, 2, 2, 2, 2, 2, 2, 2]) == 720
