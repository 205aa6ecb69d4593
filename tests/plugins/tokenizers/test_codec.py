"""The codec plugin against transformers' own classes, in the folders that those save."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    DacConfig,
    DacModel,
    EncodecConfig,
    EncodecFeatureExtractor,
    EncodecModel,
    MimiConfig,
    MimiModel,
)
from transformers.models.dac.feature_extraction_dac import DacFeatureExtractor

import orality
from orality import AudioError, CheckpointError, OralityError, Units, UnitSpec, Waveform
from orality.testing import TokenizerTests, VocoderTests

FAMILIES = ("encodec", "mimi", "dac")
HOP = {"encodec": 40, "mimi": 80, "dac": 40}
RATE = {"encodec": 24_000, "mimi": 24_000, "dac": 16_000}
CODEBOOKS = {"encodec": 4, "mimi": 5, "dac": 3}


def small_encodec() -> Any:
    config = EncodecConfig(
        num_filters=4, hidden_size=16, codebook_size=64, upsampling_ratios=[5, 4, 2],
        num_lstm_layers=1, target_bandwidths=[3.6, 7.2, 14.4],
    )  # fmt: skip
    model = EncodecModel(config).eval()
    with torch.no_grad():  # codebooks of residuals that occur: random ones would use one code
        residual = model.encoder(0.2 * torch.randn(1, 1, 8_000)).transpose(1, 2)
        for layer in model.quantizer.layers:
            layer.codebook.embed.copy_(residual[0, torch.randperm(200)[:64]])
            residual = residual - layer.codebook.decode(layer.codebook.encode(residual))
    return model


def small_mimi() -> Any:
    config = MimiConfig(
        num_filters=4, hidden_size=32, codebook_size=64, codebook_dim=16, num_quantizers=5,
        vector_quantization_hidden_dimension=16, upsampling_ratios=[5, 4, 2], upsample_groups=32,
        num_hidden_layers=2, intermediate_size=48, num_attention_heads=2, num_key_value_heads=2,
        sliding_window=8,
    )  # fmt: skip
    model = MimiModel(config)
    split = model.quantizer
    for part in (
        split.semantic_residual_vector_quantizer,
        split.acoustic_residual_vector_quantizer,
    ):
        for layer in part.layers:
            layer.codebook.embed_sum.normal_(std=0.1)
    return model


def small_dac() -> Any:
    config = DacConfig(
        encoder_hidden_size=4, decoder_hidden_size=48, downsampling_ratios=[2, 4, 5],
        n_codebooks=3, codebook_size=64, codebook_dim=4,
    )  # fmt: skip
    return DacModel(config)


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One small random model of each family, saved as transformers saves it."""
    torch.manual_seed(0)
    made = {}
    for family, model in zip(FAMILIES, (small_encodec(), small_mimi(), small_dac()), strict=True):
        made[family] = tmp_path_factory.mktemp("codecs") / f"{family}_small"
        model.eval().save_pretrained(made[family])
    return made


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def checkpoint(family: str, folders: dict[str, Path]) -> str:
    return str(folders[family])


class TestTokenizerKeepsTheContract(TokenizerTests):
    name = "codec"

    @pytest.fixture(autouse=True)
    def use(self, checkpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(type(self), "options", {"checkpoint": checkpoint, "device": "cpu"})


class TestVocoderKeepsTheContract(VocoderTests):
    name = "codec"

    @pytest.fixture(autouse=True)
    def use(self, checkpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(type(self), "options", {"checkpoint": checkpoint, "device": "cpu"})

    def batch(self) -> list[Units]:
        spec, draw = self.unit_spec(), np.random.default_rng(0)
        return [
            Units(draw.integers(0, spec.vocab_size, (length, spec.num_codebooks)))
            for length in (6, 17, 11, 6)
        ]


class TestOneCodebookKeepsTheContract(VocoderTests):
    name = "codec"

    @pytest.fixture(autouse=True)
    def use(self, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
        options = {"checkpoint": str(folders["mimi"]), "num_codebooks": 1, "device": "cpu"}
        monkeypatch.setattr(type(self), "options", options)


def build(kind: str, checkpoint: str | Path, **options: Any) -> Any:
    return orality.build(kind, "codec", checkpoint=str(checkpoint), device="cpu", **options)


def describe(checkpoint: str | Path, **options: Any) -> UnitSpec | None:
    component, config = orality.load().configure(
        "tokenizer", "codec", checkpoint=str(checkpoint), **options
    )
    found: UnitSpec | None = component.spec.describe(config)
    return found


def noise(samples: int, rate: int, seed: int = 0) -> Waveform:
    drawn = np.random.default_rng(seed).standard_normal(samples)
    return Waveform((0.2 * drawn).astype(np.float32), rate)


def reference_codes(family: str, folder: str, wave: Waveform) -> np.ndarray:
    """(frames, codebooks), as transformers' feature extractor and model have them."""
    rate = wave.sample_rate
    with torch.inference_mode():
        if family == "dac":
            extract = DacFeatureExtractor(sampling_rate=rate, hop_length=HOP["dac"])
            model = DacModel.from_pretrained(folder).eval()
            inputs = extract(wave.samples, sampling_rate=rate, return_tensors="pt")
            return model.encode(inputs["input_values"]).audio_codes[0].T.numpy()
        extract = EncodecFeatureExtractor(sampling_rate=rate)
        inputs = extract(wave.samples, sampling_rate=rate, return_tensors="pt")
        if family == "mimi":
            model = MimiModel.from_pretrained(folder).eval()
            return model.encode(inputs["input_values"]).audio_codes[0].T.numpy()
        model = EncodecModel.from_pretrained(folder).eval()
        found = model.encode(inputs["input_values"], inputs["padding_mask"], bandwidth=14.4)
        return found.audio_codes[0, 0].T.numpy()


@pytest.mark.parametrize("samples", [1, 39, 40, 41, 4_000, 24_017])
def test_units_are_transformers_codes(family: str, checkpoint: str, samples: int) -> None:
    wave = noise(samples, RATE[family])
    units = build("tokenizer", checkpoint).encode([wave])[0]
    np.testing.assert_array_equal(units.ids, reference_codes(family, checkpoint, wave))
    assert len(units) == math.ceil(samples / HOP[family])
    np.testing.assert_array_equal(units.durations, np.ones(len(units)))


def test_the_codes_use_their_codebooks(family: str, checkpoint: str) -> None:
    """Equality above would say little if every code were the same."""
    ids = build("tokenizer", checkpoint).encode([noise(24_000, RATE[family])])[0].ids
    assert all(len(np.unique(column)) > 5 for column in ids.T)


def test_speech_is_what_transformers_decodes(family: str, checkpoint: str) -> None:
    codes = np.random.default_rng(1).integers(0, 64, (37, CODEBOOKS[family]))
    [spoken] = build("vocoder", checkpoint).synthesize([Units(codes)])
    stacked = torch.from_numpy(codes.T[None])
    classes: dict[str, Any] = {"encodec": EncodecModel, "mimi": MimiModel, "dac": DacModel}
    model = classes[family].from_pretrained(checkpoint).eval()
    with torch.inference_mode():
        if family == "encodec":
            expected = model.decode(stacked[None], [None]).audio_values
        else:
            expected = model.decode(audio_codes=stacked).audio_values
    expected = expected.flatten().clamp(-1, 1).numpy()
    np.testing.assert_allclose(spoken.samples, expected, atol=1e-6)
    assert spoken.sample_rate == RATE[family]
    # the stride of five makes DAC's transposed convolutions fall short by a few samples
    assert 0 <= 37 * HOP[family] - len(spoken.samples) <= (HOP["dac"] if family == "dac" else 0)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_fewer_codebooks_are_the_first_ones(family: str, checkpoint: str, number: int) -> None:
    wave = noise(8_000, RATE[family])
    everything = build("tokenizer", checkpoint).encode([wave])[0].ids
    some = build("tokenizer", checkpoint, num_codebooks=number)
    ids = some.encode([wave])[0].ids
    np.testing.assert_array_equal(ids, everything[:, 0] if number == 1 else everything[:, :number])
    spec = some.unit_spec
    assert spec.codebook == f"{family}_small/{number}x64"
    assert spec.num_codebooks == number
    assert describe(checkpoint, num_codebooks=number) is not None


def test_one_codebook_speaks_from_plain_ids(family: str, checkpoint: str) -> None:
    vocoder = build("vocoder", checkpoint, num_codebooks=1)
    ids = np.random.default_rng(2).integers(0, 64, 20)
    plain, column = vocoder.synthesize([Units(ids), Units(ids[:, None])])
    np.testing.assert_array_equal(plain.samples, column.samples)


def test_a_batch_gives_what_each_item_gives_alone(family: str, checkpoint: str) -> None:
    tokenizer, vocoder = build("tokenizer", checkpoint), build("vocoder", checkpoint)
    waves = [noise(n, RATE[family], seed) for seed, n in enumerate((4_000, 0, 911, 4_000, 12_345))]
    together = tokenizer.encode(waves)
    for wave, units in zip(waves, together, strict=True):
        np.testing.assert_array_equal(units.ids, tokenizer.encode([wave])[0].ids)
    for units, spoken in zip(together, vocoder.synthesize(together), strict=True):
        alone = vocoder.synthesize([units])[0].samples
        np.testing.assert_allclose(spoken.samples, alone, atol=1e-5)


@pytest.mark.parametrize("number", [None, 1])
def test_nothing_has_no_units_and_no_samples(checkpoint: str, number: int | None) -> None:
    tokenizer = build("tokenizer", checkpoint, num_codebooks=number)
    [units] = tokenizer.encode([Waveform(np.zeros(0, np.float32), 8_000)])
    assert units.ids.shape == ((0,) if number == 1 else (0, tokenizer.unit_spec.num_codebooks))
    vocoder = build("vocoder", checkpoint, num_codebooks=number)
    assert [len(wave.samples) for wave in vocoder.synthesize([units])] == [0]
    assert vocoder.synthesize([]) == tokenizer.encode([]) == []


def test_durations_are_frames(folders: dict[str, Path]) -> None:
    vocoder = build("vocoder", folders["mimi"], num_codebooks=1)
    short = Units(np.array([5, 9]), np.array([2, 3]))
    first, second = vocoder.synthesize([short, Units(np.array([5, 5, 9, 9, 9]))])
    np.testing.assert_allclose(first.samples, second.samples, atol=1e-6)
    with pytest.raises(OralityError, match="item 0: got durations of shape"):
        vocoder.synthesize([Units(np.array([5, 9]), np.array([2]))])


@pytest.mark.parametrize(
    ("ids", "problem"),
    [
        (np.full((3, 4), 64), "item 1: got ids from 64 to 64, this codec knows 0 to 63"),
        (np.full((3, 4), -1), "item 1: got ids from -1 to -1"),
        (np.zeros((3, 5)), r"item 1: got ids of shape \(3, 5\), wanted \(num_units, 4\)"),
        (np.zeros(3), r"item 1: got ids of shape \(3,\)"),
    ],
)
def test_units_of_another_codec_are_refused(
    folders: dict[str, Path], ids: np.ndarray, problem: str
) -> None:
    good = Units(np.zeros((2, 4), np.int64))
    with pytest.raises(OralityError, match=problem):
        build("vocoder", folders["encodec"]).synthesize([good, Units(ids.astype(np.int64))])


def test_samples_that_are_no_recording_are_refused(checkpoint: str) -> None:
    tokenizer = build("tokenizer", checkpoint)
    with pytest.raises(AudioError, match="not finite"):
        tokenizer.encode([Waveform(np.full(100, np.inf, np.float32), 16_000)])
    with pytest.raises(AudioError, match="wanted mono"):
        tokenizer.encode([Waveform(np.zeros((2, 100), np.float32), 16_000)])


def test_describing_needs_the_config_alone(family: str, checkpoint: str, tmp_path: Path) -> None:
    shutil.copy(Path(checkpoint) / "config.json", tmp_path)
    described = describe(tmp_path, codebook="mine")
    number = CODEBOOKS[family]
    assert described == UnitSpec(
        f"mine/{number}x64", 64, RATE[family] / HOP[family], number, deduplicated=False
    )
    with pytest.raises(CheckpointError, match=r"neither model\.safetensors nor"):
        build("tokenizer", tmp_path)


def test_the_published_shapes_are_described(tmp_path: Path) -> None:
    """Frame rates and codebooks as the papers state them: 75 Hz, 12.5 Hz, 50 Hz and 86 Hz."""
    for config, bandwidth, expected in (
        ({"model_type": "encodec"}, 6.0, (1024, 75.0, 8)),
        ({"model_type": "encodec", "sampling_rate": 32_000, "upsampling_ratios": [8, 5, 4, 4],
          "codebook_size": 2048, "target_bandwidths": [2.2]}, 2.2, (2048, 50.0, 4)),
        ({"model_type": "mimi", "frame_rate": 12.5}, None, (2048, 12.5, 32)),
        ({"model_type": "mimi"}, None, (2048, 12.5, 32)),
        ({"model_type": "dac", "sampling_rate": 16_000, "n_codebooks": 12,
          "downsampling_ratios": [2, 4, 5, 8]}, None, (1024, 50.0, 12)),
        ({"model_type": "dac", "sampling_rate": 44_100}, None, (1024, 44_100 / 512, 9)),
    ):  # fmt: skip
        (tmp_path / "config.json").write_text(json.dumps(config))
        spec = describe(tmp_path, bandwidth=bandwidth)
        assert spec is not None
        assert (spec.vocab_size, spec.frame_rate, spec.num_codebooks) == expected


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"audio_channels": 2}, "audio_channels is 2; speech here is mono"),
        ({"normalize": True}, "loudness"),
        ({"chunk_length_s": 1.0}, "overlapping chunks"),
        ({"model_type": "hubert"}, "describes a 'hubert' model"),
        ({"codebook_size": "64"}, "codebook_size is '64'"),
        ({"upsampling_ratios": [5, 4.0]}, "wanted a list of integers"),
        ({"upsampling_ratios": [5, 0]}, "wanted positive numbers"),
        ({"target_bandwidths": []}, "target_bandwidths is empty"),
        ({"target_bandwidths": "24"}, "target_bandwidths is '24'"),
    ],
)
def test_a_codec_whose_codes_do_not_suffice_is_refused(
    folders: dict[str, Path], tmp_path: Path, change: dict[str, Any], problem: str
) -> None:
    config = json.loads((folders["encodec"] / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(CheckpointError, match=problem):
        describe(tmp_path)


def test_codebooks_and_bandwidths_that_are_not_there_are_refused(folders: dict[str, Path]) -> None:
    with pytest.raises(CheckpointError, match="1 to 4 codebooks to choose, not 5"):
        describe(folders["encodec"], num_codebooks=5)
    with pytest.raises(CheckpointError, match=r"got bandwidth 6, it offers 3\.6, 7\.2, 14\.4"):
        describe(folders["encodec"], bandwidth=6)
    with pytest.raises(CheckpointError, match="offers none; set `num_codebooks`"):
        describe(folders["dac"], bandwidth=6)
    with pytest.raises(CheckpointError, match="they say the same"):
        describe(folders["encodec"], bandwidth=3.6, num_codebooks=1)


def changed(folder: Path, tmp_path: Path, change: Any) -> Path:
    copied = tmp_path / "changed"
    shutil.copytree(folder, copied)
    state = load_file(copied / "model.safetensors")
    save_file(change(state), copied / "model.safetensors", metadata={"format": "pt"})
    return copied


def test_a_missing_tensor_is_an_error(checkpoint: str, tmp_path: Path) -> None:
    def drop(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return dict(sorted(state.items())[1:])

    with pytest.raises(CheckpointError, match="lacks: "):
        build("tokenizer", changed(Path(checkpoint), tmp_path, drop))


@pytest.mark.parametrize("name", ["head.weight", "encoder.layers.99.weight"])
def test_an_unknown_tensor_is_an_error(checkpoint: str, tmp_path: Path, name: str) -> None:
    def add(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return state | {name: torch.zeros(2)}

    with pytest.raises(CheckpointError, match=r"unknown tensors: .*weight|holds \d+ tensors"):
        build("tokenizer", changed(Path(checkpoint), tmp_path, add))


def test_a_tensor_of_another_shape_and_a_broken_file_are_errors(
    checkpoint: str, tmp_path: Path
) -> None:
    def grow(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        name = sorted(state)[0]
        return state | {name: torch.zeros(*state[name].shape, 2)}

    folder = changed(Path(checkpoint), tmp_path, grow)
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        build("tokenizer", folder)
    (folder / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        build("vocoder", folder)


def test_old_weight_files_are_read(folders: dict[str, Path], tmp_path: Path) -> None:
    """A pickled state dict with weight norm's first spelling, as the EnCodec folders have it."""
    folder = tmp_path / "old"
    shutil.copytree(folders["encodec"], folder)
    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    new = ".parametrizations.weight.original"
    old = {
        name.replace(f"{new}0", ".weight_g").replace(f"{new}1", ".weight_v"): value
        for name, value in state.items()
    }
    assert set(old) != set(state)
    torch.save(old, folder / "pytorch_model.bin")
    wave = noise(4_000, 24_000)
    [expected] = build("tokenizer", folders["encodec"]).encode([wave])
    [found] = build("tokenizer", folder).encode([wave])
    np.testing.assert_array_equal(found.ids, expected.ids)


def test_two_codecs_of_one_name_have_other_fingerprints(
    family: str, checkpoint: str, tmp_path: Path
) -> None:
    tokenizer, vocoder = build("tokenizer", checkpoint), build("vocoder", checkpoint)
    assert tokenizer.unit_spec == vocoder.unit_spec
    fewer = build("tokenizer", checkpoint, num_codebooks=1).unit_spec.fingerprint
    assert fewer not in (None, tokenizer.unit_spec.fingerprint)
    key = "embed_sum" if family == "mimi" else ".codebook." if family == "dac" else ".embed"

    def shift(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {n: v + 1 if n.endswith(key) or key == ".codebook." in n else v
                for n, v in state.items()}  # fmt: skip

    other = build("tokenizer", changed(Path(checkpoint), tmp_path, shift)).unit_spec
    assert other.fingerprint != tokenizer.unit_spec.fingerprint


def test_a_stack_of_other_codebooks_is_refused_before_weights_load(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    from orality.compatibility import Stack, find_problems

    shutil.copy(folders["encodec"] / "config.json", tmp_path)  # no weights here at all
    registry = orality.load()

    def chosen(kind: str, name: str, **options: Any) -> Any:
        component, config = registry.configure(kind, name, **options)
        return component.spec, config

    stack = Stack(
        tokenizer=chosen("tokenizer", "codec", checkpoint=str(tmp_path), codebook="a"),
        slm=chosen("slm", "toy"),
        judge=chosen("judge", "toy"),
        transcriber=chosen("transcriber", "toy"),
        vocoder=chosen("vocoder", "codec", checkpoint=str(tmp_path), codebook="a", num_codebooks=2),
    )
    problems = "\n".join(find_problems(stack))
    assert "units.num_codebooks: tokenizer has 4, vocoder has 2" in problems
    assert "units.codebook: tokenizer has 'a/4x64', slm has" in problems
