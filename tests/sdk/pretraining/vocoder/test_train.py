"""The unit vocoder's training: its format, its losses, its resume, on toy sizes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import orality
from orality import CorpusError, TrainingError, Units, UnitSpec
from orality.pretraining.data import Utterance
from orality.pretraining.vocoder.adversary import Adversary
from orality.pretraining.vocoder.code_hifigan import (
    Generator,
    VocoderShape,
    official_state,
    plain_state,
)
from orality.pretraining.vocoder.durations import duration_loss, run_lengths, train_durations
from orality.pretraining.vocoder.spectral import SpectralLoss, mel_filters
from orality.pretraining.vocoder.train import take_body, train_vocoder

SHAPE = VocoderShape(
    6, embedding_dim=8, channels=32, upsample_rates=(10, 8, 8), resblock_kernels=(3,),
    dilations=(1, 3, 5), duration_channels=8,
)  # fmt: skip
SPEC = UnitSpec("toy/km6", 6, 25.0)


def tone(unit: int, frames: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    time = np.arange(frames * 640) / 16_000
    return (0.3 * np.sin(2 * np.pi * 200 * (unit + 1) * time)).astype(np.float32)


def corpus(count: int = 6) -> tuple[list[Utterance], dict[str, np.ndarray[Any, Any]]]:
    """Every unit is a tone; units of different length follow each other."""
    speech, units = [], {}
    for number in range(count):
        rng = np.random.default_rng(number)
        runs = [(int(u), int(rng.integers(2, 6))) for u in rng.permutation(6)]
        samples = np.concatenate([tone(u, n) for u, n in runs])
        units[f"u{number}"] = np.concatenate([np.full(n, u) for u, n in runs])
        speech.append(Utterance(f"u{number}", len(samples), lambda samples=samples: samples))
    return speech, units


def fit(out: Path, steps: int, **options: Any) -> Path:
    speech, units = corpus()
    settings: dict[str, Any] = {
        "shape": SHAPE, "batch": 2, "segment": 4, "duration_steps": 2, "device": "cpu",
    }  # fmt: skip
    return train_vocoder(speech, units, out, unit_spec=SPEC, steps=steps, **settings | options)


def losses(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "losses.jsonl").read_text().splitlines()]


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_training_comes_closer_to_the_speech(tmp_path: Path) -> None:
    fit(tmp_path, 75, batch=4, learning_rate=3e-3)
    history = losses(tmp_path)
    assert [row["step"] for row in history] == [25, 50, 75]
    assert history[-1]["mel"] < 0.9 * history[0]["mel"]


def test_the_checkpoint_is_read_by_the_plugin_and_sounds_as_trained(tmp_path: Path) -> None:
    folder = fit(tmp_path, 2)
    generator = Generator(SHAPE).eval()
    generator.load_state_dict(plain_state(load_file(folder / "generator.safetensors")))
    ids = np.array([0, 3, 3, 5, 1])
    vocoder = orality.build(
        "vocoder", "hifigan", checkpoint=str(folder), predict_durations=False, device="cpu"
    )
    assert vocoder.unit_spec == SPEC
    assert vocoder.sample_rate == 16_000
    with torch.no_grad():
        wanted = generator(torch.from_numpy(ids)[None])[0].numpy()
    [speech] = vocoder.synthesize([Units(ids)])
    np.testing.assert_allclose(speech.samples, wanted, atol=1e-5)
    np.testing.assert_array_equal(
        vocoder.durations(ids), generator.durations(torch.from_numpy(ids)[None])[0].numpy()
    )


def test_tensor_names_are_the_official_ones(tmp_path: Path) -> None:
    state = load_file(fit(tmp_path, 1) / "generator.safetensors")
    assert {value.dtype for value in state.values()} == {torch.float16}
    assert state["ups.0.weight_g"].shape == (32, 1, 1)
    assert state["ups.0.weight_v"].shape == (32, 16, 20)
    assert state["resblocks.2.convs1.2.weight_v"].shape == (4, 4, 3)
    assert state["dur_predictor.conv1.0.weight"].shape == (8, 8, 3)
    assert state["dict.weight"].shape == (6, 8)
    assert {"conv_pre.bias", "conv_post.weight_g", "dur_predictor.proj.weight"} <= set(state)


def test_weight_norm_comes_back_as_the_same_weights() -> None:
    state = Generator(SHAPE).state_dict()
    back = plain_state(official_state(state))
    assert set(back) == set(state)
    for name, value in state.items():
        torch.testing.assert_close(back[name], value)
    doubled = official_state(state)
    doubled["conv_pre.weight_g"] *= 2
    torch.testing.assert_close(
        plain_state(doubled)["conv_pre.weight"], 2 * state["conv_pre.weight"]
    )


def test_a_killed_run_ends_as_one_that_was_not(tmp_path: Path) -> None:
    whole = load_file(fit(tmp_path / "whole", 4) / "generator.safetensors")
    # a run that stops half way plans the same learning rates
    stop = {"steps": 0}

    def kill(stage: str, done: int, total: int, note: str = "") -> None:
        stop["steps"] = done
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "cut", 4, progress=kill)
    cut = load_file(fit(tmp_path / "cut", 4) / "generator.safetensors")
    for name, value in whole.items():
        torch.testing.assert_close(cut[name], value)


def test_a_finished_run_is_not_repeated(tmp_path: Path) -> None:
    first = load_file(fit(tmp_path, 3) / "generator.safetensors")
    seen: list[int] = []
    fit(tmp_path, 3, progress=lambda stage, done, total, note="": seen.append(done))
    assert seen == []
    again = load_file(tmp_path / "vocoder" / "generator.safetensors")
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_another_vocoders_body_is_taken_over_but_not_its_units(tmp_path: Path) -> None:
    other = Generator(SHAPE)
    folder = fit(tmp_path / "first", 2)
    before = {name: value.clone() for name, value in other.state_dict().items()}
    take_body(other, folder)
    stored = plain_state(load_file(folder / "generator.safetensors"))
    for name, value in other.state_dict().items():
        kept = name.startswith(("dict.", "dur_predictor."))
        torch.testing.assert_close(value, before[name] if kept else stored[name])
    fit(tmp_path / "second", 1, init_from=folder)
    wider = VocoderShape(6, 8, 64, SHAPE.upsample_rates, (3,), duration_channels=8)
    with pytest.raises(TrainingError, match="has another shape"):
        take_body(Generator(wider), folder)


def test_discriminators_take_part_when_asked(tmp_path: Path) -> None:
    fit(tmp_path, 1, adversarial=True)
    assert {"fooled", "features", "lesson"} <= set(losses(tmp_path)[-1])


def test_an_adversary_learns_to_tell_noise_from_tones() -> None:
    torch.manual_seed(0)
    adversary = Adversary(torch.device("cpu"), 5e-3, width=4)
    truth = torch.from_numpy(tone(2, 4))[None]
    lessons = [float(adversary(0.1 * torch.randn_like(truth), truth)[2]) for _ in range(30)]
    assert np.mean(lessons[-5:]) < 0.8 * np.mean(lessons[:5])


def test_equal_waveforms_are_at_no_distance_and_others_are() -> None:
    loss = SpectralLoss()
    low, high = (torch.from_numpy(tone(unit, 4))[None] for unit in (0, 5))
    assert [float(part) for part in loss(low, low)] == [0.0, 0.0]
    near, far = loss(low, 0.5 * low), loss(low, high)
    # half the amplitude is log 2 in every band above the floor, half of the norm, and half of b's
    assert 0 < float(near.mel) <= np.log(2) + 1e-5
    assert float(far.mel) > float(near.mel)
    assert float(far.stft) > 1


def test_silence_has_a_finite_gradient() -> None:
    guess = torch.zeros(1, 2560, requires_grad=True)
    mel, stft = SpectralLoss()(guess, torch.zeros(1, 2560))
    (mel + stft).backward()
    assert guess.grad is not None
    assert torch.isfinite(guess.grad).all()


def test_mel_filters_cover_every_frequency_once() -> None:
    filters = mel_filters(16_000, 1024, 40)
    assert filters.shape == (40, 513)
    assert filters.max() <= 1
    centers = filters.argmax(1)
    inside = filters[:, centers[0] : centers[-1]].sum(0)
    np.testing.assert_allclose(inside, np.ones_like(inside), atol=1e-5)


def test_runs_are_units_and_their_frames() -> None:
    ids, lengths = run_lengths(np.array([4, 4, 1, 4, 4, 4]))
    assert ids.tolist() == [4, 1, 4]
    assert lengths.tolist() == [2, 1, 3]


def test_the_duration_loss_is_least_at_the_mean_length() -> None:
    generator = Generator(SHAPE).eval()
    predictor = generator.dur_predictor
    predictor.proj.weight.data.zero_()
    # the same unit lasts 1, 2 and 6 frames: the mean is 3, so exp(x) - 1 = 3
    sentences = [np.full(n, 2) for n in (1, 2, 6)]

    def at(frames: float) -> float:
        predictor.proj.bias.data.fill_(np.log(frames + 1))
        return float(duration_loss(generator, sentences).detach())

    assert at(3) < min(at(2.8), at(3.2))
    assert generator.durations(torch.tensor([[2]])).tolist() == [[3]]
    exact = [np.full(3, 2)]
    predictor.proj.bias.data.fill_(np.log(4.0))
    assert abs(float(duration_loss(generator, exact).detach())) < 1e-5


def test_durations_are_learned_alone_without_touching_the_voice(tmp_path: Path) -> None:
    torch.manual_seed(0)
    generator = Generator(SHAPE)
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    # unit n lasts n + 1 frames, whatever stands beside it
    rng = np.random.default_rng(0)
    orders = [rng.permutation(6) for _ in range(40)]
    sentences = [np.concatenate([np.full(u + 1, u) for u in order]) for order in orders]
    train_durations(generator, sentences, tmp_path, steps=400, learning_rate=1e-2)
    found = generator.eval().durations(torch.tensor([[5, 0, 3, 1, 4, 2]]))
    assert found.tolist() == [[6, 1, 4, 2, 5, 3]]
    for name, value in generator.state_dict().items():
        assert name.startswith("dur_predictor.") or torch.equal(value, before[name])


def test_what_cannot_work_is_said_before_training(tmp_path: Path) -> None:
    speech, units = corpus(1)

    def attempt(spec: UnitSpec = SPEC, frames: Any = units, **options: Any) -> None:
        train_vocoder(
            speech, frames, tmp_path, unit_spec=spec, steps=1,
            **{"shape": SHAPE, "segment": 4, "device": "cpu"} | options,
        )  # fmt: skip

    with pytest.raises(TrainingError, match="6 embeddings, the codebook 7"):
        attempt(UnitSpec("toy/km7", 7, 25.0))
    with pytest.raises(TrainingError, match=r"640 samples a frame, units at 50 Hz need 320"):
        attempt(UnitSpec("toy/km6", 6, 50.0))
    with pytest.raises(CorpusError, match="1 recordings have no units, u0 among them"):
        attempt(frames={})
    with pytest.raises(TrainingError, match="got unit 6, the codebook ends at 5"):
        attempt(frames={"u0": units["u0"] + 1})
    with pytest.raises(CorpusError, match="as long as a segment of 999 frames"):
        attempt(segment=999)
    with pytest.raises(TrainingError, match="cannot be halved 3 times"):
        VocoderShape(6, channels=20, upsample_rates=(10, 8, 8))
    assert not (tmp_path / "checkpoints").exists()
