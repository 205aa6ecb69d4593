"""The small encoder: its frames, its masks, its loss, and that neighbors never matter."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from orality.pretraining.quantizer.encoder import (
    FrameClassifier,
    Frames,
    frames_of,
    layer_features,
    masked_cross_entropy,
    small_config,
    span_mask,
)
from orality.pretraining.quantizer.mfcc import mfcc


@pytest.fixture(scope="module")
def model() -> FrameClassifier:
    torch.manual_seed(0)
    return FrameClassifier(small_config(width=32, layers=2), 5).eval()


def test_the_framing_is_that_of_the_published_25_hz_hubert(model: FrameClassifier) -> None:
    frames = frames_of(model.hubert.config)
    assert frames == Frames(hop=640, field=720)
    for samples in (720, 1359, 1360, 16_000):
        with torch.inference_mode():
            made = model(torch.zeros(1, samples)).shape[1]
        assert made == frames.count(samples)
    assert frames.count(719) == 0
    assert frames.centers(2).tolist() == [360.0, 1000.0]


def test_the_shipped_size_is_about_four_million_parameters() -> None:
    count = sum(p.numel() for p in FrameClassifier(small_config(), 40).parameters())
    assert 3_000_000 < count < 4_500_000


def test_neighbors_of_a_batch_change_no_features(model: FrameClassifier) -> None:
    generator = torch.Generator().manual_seed(0)
    waves = 0.1 * torch.randn(3, 8_000, generator=generator)
    with torch.inference_mode():
        together = model(waves)
        alone = torch.cat([model(wave[None]) for wave in waves])
        louder = model(waves * torch.tensor([[1.0], [1.0], [50.0]]))
    assert torch.allclose(together, alone, atol=1e-5)
    assert torch.allclose(together[:2], louder[:2], atol=1e-5)


def test_a_mask_hides_its_frames(model: FrameClassifier) -> None:
    wave = 0.1 * torch.randn(1, 8_000, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(1, 12, dtype=torch.bool)
    mask[0, 4:7] = True
    with torch.inference_mode():
        assert not torch.allclose(model(wave, mask), model(wave))


def test_layer_features_are_the_hidden_states_and_last_the_normed_output(
    model: FrameClassifier,
) -> None:
    wave = np.random.default_rng(0).standard_normal(8_000).astype(np.float32)
    found = layer_features(model.hubert, wave, [1, 2])
    with torch.inference_mode():
        output = model.hubert(torch.from_numpy(wave)[None], output_hidden_states=True)
    assert torch.equal(found[1], output.hidden_states[1][0])
    assert torch.equal(found[2], output.last_hidden_state[0])
    assert layer_features(model.hubert, wave[:700], [1])[1].shape == (0, 32)


def test_the_loss_by_hand() -> None:
    # two frames, two classes: certain 3/4 and 1/4 of the right class
    logits = torch.log(torch.tensor([[[0.75, 0.25], [0.75, 0.25]]]))
    targets, mask = torch.tensor([[0, 1]]), torch.tensor([[False, True]])
    loss, seen, masked = masked_cross_entropy(logits, targets, mask, 0.5)
    by_hand = (-math.log(0.75) + 0.5 * -math.log(0.25)) / 1.5
    assert float(loss) == pytest.approx(by_hand, abs=1e-6)
    assert (float(seen), float(masked)) == (1.0, 0.0)


def test_masks_come_in_spans_and_cover_about_the_share() -> None:
    mask = span_mask(np.random.default_rng(0), 200, 100, share=0.2, span=5)
    assert 0.15 < mask.mean() < 0.22
    runs = "".join("x" if hidden else "." for hidden in mask[0]).split(".")
    assert all(len(run) >= 5 for run in runs[:-1] if run)


def test_mfcc_has_a_row_per_encoder_frame() -> None:
    frames = Frames(640, 720)
    wave = np.random.default_rng(0).standard_normal(16_000).astype(np.float32)
    features = mfcc(wave, frames)
    assert features.shape == (24, 39)
    assert torch.isfinite(features).all()
    assert mfcc(wave[:100], frames).shape == (0, 39)


def test_mfcc_of_a_steady_tone_hardly_changes_and_of_two_tones_differs() -> None:
    frames, time = Frames(640, 720), np.arange(32_000) / 16_000
    low, high = (np.sin(2 * np.pi * f * time).astype(np.float32) for f in (300, 3000))
    first, second = mfcc(low, frames)[2:-2, :13], mfcc(high, frames)[2:-2, :13]
    assert float(first.std(0).max()) < 0.5 < float((first.mean(0) - second.mean(0)).abs().max())


def test_a_folder_written_is_a_folder_read(model: FrameClassifier, tmp_path: Path) -> None:
    from orality.pretraining.quantizer.encoder import load_hubert
    from orality.pretraining.quantizer.train import save_encoder

    save_encoder(model.hubert, tmp_path)
    read = load_hubert(tmp_path)
    for name, value in model.hubert.state_dict().items():
        assert torch.equal(value.half().float(), read.state_dict()[name]), name
