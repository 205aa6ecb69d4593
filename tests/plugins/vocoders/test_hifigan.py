"""The hifigan vocoder: the reference's numbers, every variant of the format, and its refusals."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import orality
from orality import CheckpointError, OralityError, Units, UnitSpec
from orality.testing import VocoderTests

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
    np.testing.assert_array_equal(given.samples, long_form.samples)
    frames = build(predict_durations=False).synthesize([units(3, 3, 7, 7, 7)])[0]
    np.testing.assert_allclose(given.samples, frames.samples, atol=1e-6)
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
    vocoder = build(folder, speaker=2, style=1)
    seen: list[torch.Tensor] = []
    vocoder._modules["body"].conv_pre.register_forward_pre_hook(
        lambda module, args: seen.append(args[0])
    )
    build_in = units(7)
    vocoder._predict = False
    vocoder.synthesize([build_in])
    by_hand = torch.cat(
        [state["dict.weight"][7], state["spkr.weight"][2], state["style.weight"][1]]
    )
    torch.testing.assert_close(seen[0][0, :, 0], by_hand)
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


def test_pitch_codes_are_refused(folder: Path) -> None:
    change_config(folder, f0=True)
    with pytest.raises(CheckpointError, match="pitch codes"):
        describe(folder)


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
