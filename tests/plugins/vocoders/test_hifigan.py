"""The hifigan vocoder: the reference's numbers, every variant of the format, and its refusals."""

from __future__ import annotations

import json
import shutil
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from transformers import SpeechT5HifiGan, SpeechT5HifiGanConfig

import orality
from orality import CheckpointError, OralityError, Units, UnitSpec
from orality.testing import VocoderTests
from orality_vocoder_hifigan.batching import generate
from orality_vocoder_hifigan.rows import lay_in_rows

GOLDEN = Path(__file__).parents[2] / "golden" / "vocoder_lj25"


class TestGolden(VocoderTests):
    name = "hifigan"
    options: ClassVar[dict[str, Any]] = {"checkpoint": str(GOLDEN), "predict_durations": False}


def build(folder: Path = GOLDEN, **options: Any) -> Any:
    return orality.build("vocoder", "hifigan", checkpoint=str(folder), device="cpu", **options)


def describe(folder: Path, **options: Any) -> UnitSpec | None:
    component, config = orality.load().configure(
        "vocoder", "hifigan", checkpoint=str(folder), **options
    )
    found: UnitSpec | None = component.spec.describe(config)
    return found


def units(*ids: int, durations: list[int] | None = None) -> Units:
    lengths = None if durations is None else np.array(durations, np.int64)
    return Units(np.array(ids, np.int64), lengths)


@pytest.fixture
def expected() -> Any:
    with np.load(GOLDEN / "expected.npz") as content:
        return dict(content)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the golden checkpoint that a test may change."""
    copied = tmp_path / "vocoder"
    shutil.copytree(GOLDEN, copied)
    return copied


def state_of(folder: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = torch.load(folder / "generator.pt", weights_only=True)
    return found["generator"]  # type: ignore[return-value]


def change_config(folder: Path, **values: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | values))


@pytest.mark.parametrize("case", ["a", "one", "dups"])
@pytest.mark.parametrize(("durations", "word"), [(False, "nodur"), (True, "dur")])
def test_waveforms_are_the_references(expected: Any, case: str, durations: bool, word: str) -> None:
    vocoder = build(predict_durations=durations)
    [speech] = vocoder.synthesize([Units(expected[f"in_{case}"])])
    assert speech.sample_rate == 16_000
    np.testing.assert_allclose(speech.samples, expected[f"wav_{word}_{case}_s0_t0"], atol=1e-5)


@pytest.mark.parametrize("case", ["a", "one", "dups"])
def test_durations_are_the_references(expected: Any, case: str) -> None:
    np.testing.assert_array_equal(
        build().durations(expected[f"in_{case}"]), expected[f"dur_{case}"][0]
    )


@pytest.mark.parametrize("durations", [True, False])
def test_a_batch_gives_what_each_item_gives_alone(durations: bool) -> None:
    draw = np.random.default_rng(1)
    batch = [Units(draw.integers(0, 500, n)) for n in (7, 1, 7, 0, 12, 7, 30)]
    vocoder = build(predict_durations=durations)
    for item, together in zip(batch, vocoder.synthesize(batch), strict=True):
        alone = vocoder.synthesize([item])[0].samples
        np.testing.assert_allclose(together.samples, alone, atol=1e-5)


def test_every_id_is_one_frame_without_durations() -> None:
    [speech] = build(predict_durations=False).synthesize([units(5, 5, 9)])
    assert speech.samples.shape == (3 * 640,)


def test_negative_ids_are_left_out() -> None:
    vocoder = build()
    first, second = vocoder.synthesize([units(-1, 4, -2, 8, -1), units(4, 8)])
    np.testing.assert_array_equal(first.samples, second.samples)


@pytest.mark.parametrize("ids", [(), (-1, -1)])
@pytest.mark.parametrize("durations", [True, False])
def test_nothing_to_say_is_an_empty_waveform(ids: tuple[int, ...], durations: bool) -> None:
    [speech] = build(predict_durations=durations).synthesize([units(*ids)])
    assert speech.samples.shape == (0,)
    assert speech.samples.dtype == np.float32
    assert build().synthesize([]) == []


def test_an_id_beyond_the_codebook_is_named() -> None:
    with pytest.raises(OralityError, match="item 1: got unit 500, this vocoder knows 0 to 499"):
        build().synthesize([units(1), units(3, 500)])


def test_given_durations_are_kept_when_asked_for() -> None:
    vocoder = build(given_durations=True)
    given, long_form = vocoder.synthesize(
        [units(3, -1, 7, durations=[2, 4, 3]), units(3, 7, durations=[2, 3])]
    )
    assert given.samples.shape == (5 * 640,)
    np.testing.assert_allclose(given.samples, long_form.samples, atol=1e-5)
    frames = build(predict_durations=False).synthesize([units(3, 3, 7, 7, 7)])[0]
    np.testing.assert_allclose(given.samples, frames.samples, atol=1e-5)
    with pytest.raises(OralityError, match=r"durations of shape \(1,\) for 2 units"):
        vocoder.synthesize([units(3, 7, durations=[2])])


def test_safetensors_in_float16_and_new_weight_norm_names_are_read(
    folder: Path, expected: Any
) -> None:
    state = {
        name.replace("weight_g", "parametrizations.weight.original0").replace(
            "weight_v", "parametrizations.weight.original1"
        ): value
        for name, value in state_of(folder).items()
    }
    (folder / "generator.pt").unlink()
    save_file(state, folder / "generator.safetensors")
    wanted = expected["wav_dur_a_s0_t0"]
    exact = build(folder).synthesize([Units(expected["in_a"])])[0].samples
    np.testing.assert_allclose(exact, wanted, atol=1e-5)
    save_file({k: v.half() for k, v in state.items()}, folder / "generator.safetensors")
    near = build(folder, predict_durations=False).synthesize([Units(expected["in_a"])])[0].samples
    assert near.dtype == np.float32
    np.testing.assert_allclose(near, expected["wav_nodur_a_s0_t0"], atol=5e-3)


def test_speaker_and_style_choose_the_voice(folder: Path) -> None:
    state = state_of(folder)
    torch.manual_seed(0)
    wide = torch.randn(64, 48, 7) * 0.1
    state |= {
        "conv_pre.weight_v": wide,
        "spkr.weight": torch.randn(4, 16),
        "style.weight": torch.randn(3, 16),
    }
    torch.save({"generator": state}, folder / "generator.pt")
    change_config(
        folder, model_in_dim=48, multispkr="from_input_file", num_speakers=4,
        multistyle="from_input_file", num_styles=3,
    )  # fmt: skip
    ids = units(1, 2, 3)
    say = {
        (speaker, style): build(folder, speaker=speaker, style=style).synthesize([ids])[0].samples
        for speaker, style in ((0, 0), (2, 0), (0, 2))
    }
    assert np.abs(say[0, 0] - say[2, 0]).max() > 1e-4
    assert np.abs(say[0, 0] - say[0, 2]).max() > 1e-4
    # code, speaker, style: by hand through the first layer
    vocoder = build(folder, speaker=2, style=1, predict_durations=False)
    by_hand = torch.cat(
        [state["dict.weight"][7], state["spkr.weight"][2], state["style.weight"][1]]
    )
    torch.testing.assert_close(first_frame(vocoder, units(7)), by_hand)
    with pytest.raises(CheckpointError, match=r"has 4 speaker\(s\), there is no speaker 4"):
        build(folder, speaker=4)
    with pytest.raises(CheckpointError, match=r"there is no style 1"):
        build(GOLDEN, style=1)


def test_a_missing_tensor_is_named(folder: Path) -> None:
    state = state_of(folder)
    del state["conv_post.bias"]
    torch.save({"generator": state}, folder / "generator.pt")
    with pytest.raises(CheckpointError, match=r"lacks conv_post\.bias"):
        build(folder)


def test_a_tensor_too_many_is_named(folder: Path) -> None:
    state = state_of(folder) | {"spkr.weight": torch.zeros(4, 16)}
    torch.save({"generator": state}, folder / "generator.pt")
    with pytest.raises(CheckpointError, match=r"more than its config.json says: spkr\.weight"):
        build(folder)


def test_a_tensor_of_another_shape_is_refused(folder: Path) -> None:
    change_config(folder, num_embeddings=400)
    with pytest.raises(CheckpointError, match="do not fit its config"):
        build(folder)


def test_a_pickle_that_names_a_class_is_not_executed(folder: Path, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "executed",))

    torch.save({"generator": {"conv_pre.bias": Evil()}}, folder / "generator.pt")
    with pytest.raises(CheckpointError, match="cannot be read"):
        build(folder)
    assert not (tmp_path / "executed").exists()


def with_wider_input(folder: Path, width: int, **more: Any) -> dict[str, torch.Tensor]:
    """Let the folder's generator read `width` numbers a frame, some from `more` tensors."""
    torch.manual_seed(0)
    state = state_of(folder) | {"conv_pre.weight_v": torch.randn(64, width, 7) * 0.1, **more}
    torch.save({"generator": state}, folder / "generator.pt")
    change_config(folder, model_in_dim=width)
    return state


def first_frame(vocoder: Any, *batch: Units) -> torch.Tensor:
    """What the generator reads for the first frame of a batch."""
    seen: list[torch.Tensor] = []
    vocoder._modules["body"].conv_pre.register_forward_pre_hook(
        lambda module, args: seen.append(args[0])
    )
    vocoder.synthesize(batch)
    return seen[0][0, :, 0, 0]


def test_pitch_classes_stand_beside_the_units(folder: Path) -> None:
    table = torch.randn(8, 16, generator=torch.Generator().manual_seed(1))
    state = with_wider_input(folder, 32, **{"f0_quant_embed.weight": table})
    change_config(folder, f0=True, f0_quant_num_bin=8)
    vocoder = build(folder, predict_durations=False)
    assert describe(folder) == vocoder.unit_spec
    assert vocoder.unit_spec.num_codebooks == 2
    read = first_frame(vocoder, Units(np.array([[7, 5], [9, 2]])))
    torch.testing.assert_close(read, torch.cat([state["dict.weight"][7], table[5]]))
    for ids, said in (
        ([[7, 8]], "pitch class 8, this vocoder knows 0 to 7"),
        ([7], "num_units, 2"),
    ):
        with pytest.raises(OralityError, match=said):
            vocoder.synthesize([Units(np.array(ids))])
    # One pitch for all: units alone are enough.
    flat = build(folder, predict_durations=False, f0=3)
    assert flat.unit_spec.num_codebooks == 1
    read = first_frame(flat, units(7, 9))
    torch.testing.assert_close(read, torch.cat([state["dict.weight"][7], table[3]]))
    for wrong in (8, 2.5, -1):
        with pytest.raises(CheckpointError, match="pitch classes 0 to 7"):
            describe(folder, f0=wrong)


def test_pitch_as_a_number_has_to_be_given(folder: Path) -> None:
    state = with_wider_input(folder, 17)
    change_config(folder, f0=True)
    with pytest.raises(CheckpointError, match="set the option f0"):
        describe(folder)
    read = first_frame(build(folder, predict_durations=False, f0=0.25), units(7))
    torch.testing.assert_close(read, torch.cat([state["dict.weight"][7], torch.tensor([0.25])]))
    with pytest.raises(CheckpointError, match="reads no pitch"):
        build(GOLDEN, f0=1)


def test_a_speaker_may_be_a_vector(folder: Path, tmp_path: Path) -> None:
    weight, bias = torch.randn(16, 4), torch.randn(16)
    state = with_wider_input(folder, 32, **{"spkr.weight": weight, "spkr.bias": bias})
    change_config(
        folder, multispkr="from_input_file", embedder_params={"kind": "any"}, embedder_dim=4
    )
    np.save(tmp_path / "voice.npy", np.array([1.0, 2.0, 3.0, 4.0]))
    voiced = build(folder, predict_durations=False, speaker_vector=tmp_path / "voice.npy")
    by_hand = weight @ torch.tensor([1.0, 2.0, 3.0, 4.0]) + bias
    read = first_frame(voiced, units(7))
    torch.testing.assert_close(read, torch.cat([state["dict.weight"][7], by_hand]))
    with pytest.raises(CheckpointError, match="give speaker_vector, a .npy file of 4 numbers"):
        build(folder)
    np.save(tmp_path / "short.npy", np.zeros(3))
    with pytest.raises(CheckpointError, match="wanted a .npy file of 4 numbers"):
        build(folder, speaker_vector=tmp_path / "short.npy")
    with pytest.raises(CheckpointError, match="takes no speaker vector"):
        build(GOLDEN, speaker_vector=tmp_path / "voice.npy")


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=7))
def test_whatever_the_batch_each_item_sounds_as_it_does_alone(lengths: list[int]) -> None:
    vocoder = golden_vocoder()
    rng = np.random.default_rng(len(lengths))
    batch = [Units(rng.integers(0, 500, length)) for length in lengths]
    for item, spoken in zip(batch, vocoder.synthesize(batch), strict=True):
        alone = vocoder.synthesize([item])[0].samples
        assert spoken.samples.shape == alone.shape == (640 * len(item),)
        np.testing.assert_allclose(spoken.samples, alone, atol=1e-5)


@cache
def golden_vocoder() -> Any:
    return build(predict_durations=False)


def test_the_generator_is_that_of_transformers() -> None:
    torch.manual_seed(0)
    config = SpeechT5HifiGanConfig(
        model_in_dim=16, upsample_initial_channel=32, upsample_rates=[3, 2],
        upsample_kernel_sizes=[7, 4], resblock_kernel_sizes=[3, 5],
        resblock_dilation_sizes=[[1, 3], [1, 2]], normalize_before=False, initializer_range=0.1,
    )  # fmt: skip
    body = SpeechT5HifiGan(config).eval()
    read = torch.randn(2, 9, 16)
    with torch.inference_mode():
        expected = body(read)
        lay_in_rows(body)
        got = generate(body, [*read])
    assert expected.std() > 0.1
    torch.testing.assert_close(torch.stack(got), expected, rtol=0, atol=1e-5)


def test_a_50_hz_vocoder_of_1000_units_says_what_it_is(folder: Path) -> None:
    """Half the hop (rates 5 4 4 2 2) and twice the units, as the published km1000 vocoders."""
    config = json.loads((folder / "config.json").read_text())
    channels = config["upsample_initial_channel"]
    state = state_of(folder)
    rates, kernels = [5, 4, 4, 2, 2], [11, 8, 8, 4, 4]
    for index, kernel in enumerate(kernels):
        shape = (channels // 2**index, channels // 2 ** (index + 1), kernel)
        state[f"ups.{index}.weight_v"] = torch.randn(shape) * 0.1
    state["dict.weight"] = torch.randn(1000, 16)
    torch.save({"generator": state}, folder / "generator.pt")
    change_config(folder, upsample_rates=rates, upsample_kernel_sizes=kernels,
                  num_embeddings=1000, code_hop_size=320)  # fmt: skip
    assert describe(folder, codebook="mhubert-base-vp/l11/km1000") == UnitSpec(
        "mhubert-base-vp/l11/km1000", 1000, 50.0
    )
    said = build(folder, predict_durations=False).synthesize([units(999, 0)])[0]
    assert said.samples.shape == (640,)


def test_a_vocoder_without_durations_says_so(folder: Path) -> None:
    state = {k: v for k, v in state_of(folder).items() if not k.startswith("dur_predictor.")}
    torch.save({"generator": state}, folder / "generator.pt")
    change_config(folder, dur_predictor_params=None)
    with pytest.raises(CheckpointError, match="set predict_durations to false"):
        build(folder)
    assert len(build(folder, predict_durations=False).synthesize([units(1)])[0].samples) == 640
    assert describe(folder) == UnitSpec(
        "mhubert-base-25hz/l11/km500", 500, 25.0, deduplicated=False
    )


def test_units_are_described_by_the_folder(folder: Path) -> None:
    assert describe(folder) == UnitSpec("mhubert-base-25hz/l11/km500", 500, 25.0)
    assert describe(folder, codebook="mine/km500") == UnitSpec("mine/km500", 500, 25.0)
    stated = UnitSpec("other/l4/km500", 500, 25.0, fingerprint="ab")
    (folder / "units.json").write_text(
        json.dumps({"codebook": "other/l4/km500", "vocab_size": 500, "frame_rate": 25.0,
                    "num_codebooks": 1, "deduplicated": True, "fingerprint": "ab"})
    )  # fmt: skip
    assert describe(folder) == stated == build(folder).unit_spec
    with pytest.raises(CheckpointError, match="not 'mine/km500' as configured"):
        describe(folder, codebook="mine/km500")


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is no folder"):
        build(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match="cannot be read"):
        build(tmp_path)
