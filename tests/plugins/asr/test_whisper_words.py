"""Word times: the parts against hand-made numbers and transformers, the whole on speech."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import orality
from orality import Waveform
from orality_asr_whisper.alignment import _caught, _median, default_heads, first_frames
from orality_asr_whisper.words import group, timed

RATE = 16000


def test_the_cheapest_path_by_hand():
    # The path is (0,0) (0,1) (1,2) (2,3): each row begins where its low costs do.
    cost = np.array([[0.0, 0.0, 9.0, 9.0], [9.0, 9.0, 0.0, 9.0], [9.0, 9.0, 9.0, 0.0]])
    assert first_frames(cost).tolist() == [0, 2, 3]
    assert first_frames(np.zeros((1, 5))).tolist() == [0]
    # More rows than frames: rows share a frame.
    assert first_frames(np.zeros((4, 2))).tolist()[0] == 0
    assert first_frames(np.zeros((4, 2))).max() <= 1


def test_the_path_is_that_of_transformers():
    from transformers.models.whisper.generation_whisper import _dynamic_time_warping

    draw = np.random.default_rng(0)
    for rows, frames in ((1, 1), (1, 7), (5, 5), (4, 30), (12, 9), (25, 80)):
        cost = draw.normal(size=(rows, frames))
        texts, times = _dynamic_time_warping(cost)
        jumps = np.pad(np.diff(texts), (1, 0), constant_values=1).astype(bool)
        assert first_frames(cost).tolist() == times[jumps].tolist()


def test_the_median_is_that_of_transformers():
    from transformers.models.whisper.generation_whisper import _median_filter

    for length in (3, 4, 50):
        values = torch.randn(2, 3, length)
        torch.testing.assert_close(_median(values), _median_filter(values, 7))


def test_the_attention_is_that_of_the_model_s_own_eager_kernel():
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    torch.manual_seed(0)
    config = WhisperConfig(
        vocab_size=20, d_model=32, encoder_layers=1, decoder_layers=2, encoder_attention_heads=4,
        decoder_attention_heads=4, encoder_ffn_dim=64, decoder_ffn_dim=64, pad_token_id=1,
        bos_token_id=1, eos_token_id=1, decoder_start_token_id=2, init_std=0.3,
        attn_implementation="eager",
    )  # fmt: skip
    model = WhisperForConditionalGeneration(config).eval()
    states, ids = torch.randn(2, 30, 32), torch.randint(0, 20, (2, 6))
    with torch.inference_mode(), _caught(model, [1]) as caught:
        out = model.model.decoder(
            input_ids=ids, encoder_hidden_states=states, output_attentions=True
        )
    wanted = out.cross_attentions[1]  # (batch, heads, tokens, states)
    for head in range(4):
        part = slice(8 * head, 8 * head + 8)
        scores = caught[1, "q"][..., part] @ caught[1, "k"][..., part].mT * 8**-0.5
        torch.testing.assert_close(scores.softmax(-1), wanted[:, head], atol=1e-6, rtol=1e-5)
    assert not model.model.decoder.layers[1].encoder_attn.q_proj._forward_hooks


def decoder(pieces: list[bytes]) -> Any:
    return lambda ids: b"".join(pieces[i] for i in ids).decode(errors="replace")


def test_tokens_become_words_with_their_punctuation():
    pieces = [b' "', b"Hel", b"lo", b",", b" wor", b"ld", b"'", b"s", b"!", b" -", b" Caf", b"\xc3"]
    pieces += [b"\xa9", b"."]
    decode = decoder(pieces)
    assert group(range(len(pieces)), decode, "en") == [
        ('"Hello,', 4), ("world's! -", 6), ("Café.", 4),
    ]  # fmt: skip
    assert group([], decode, "en") == []
    assert group([3], decode, "en") == [(",", 1)]


def test_languages_without_spaces_are_cut_by_token():
    pieces = ["你好", "，", "世", "界", "。"]
    decode = decoder([piece.encode() for piece in pieces])
    assert group(range(5), decode, "zh") == [("你好，", 2), ("世", 1), ("界。", 2)]
    whole = "世界".encode()
    split = decoder([whole[:2], whole[2:4], whole[4:]])
    assert group(range(3), split, "zh") == [("世", 2), ("界", 1)] or group(
        range(3), split, "zh"
    ) == [("世界", 3)]


def clip(*parts: tuple[float, bool]) -> np.ndarray[Any, Any]:
    """Tones and pauses of so many seconds."""
    samples = [
        0.3 * np.sin(2 * np.pi * 300 * np.arange(round(seconds * RATE)) / RATE) * loud
        for seconds, loud in parts
    ]
    return np.concatenate(samples).astype(np.float32)


def test_a_word_begins_and_ends_where_there_is_sound():
    samples = clip((0.5, False), (0.4, True), (0.6, False), (0.3, True), (0.2, False))
    starts = np.array([0.0, 0.7, 1.2, 2.0])  # two tokens, then one; the end
    words = timed([("one", 2), ("two", 1)], starts, samples, offset=10.0)
    assert [word.text for word in words] == ["one", "two"]
    assert (words[0].start, words[0].end) == (pytest.approx(10.5), pytest.approx(10.9))
    assert (words[1].start, words[1].end) == (pytest.approx(11.5), pytest.approx(11.8))


def test_times_stay_in_order_and_inside_whatever_the_attention_says():
    samples = clip((1.0, True))
    starts = np.array([0.8, 0.2, 3.0, 0.1])
    words = timed([("a", 1), ("b", 1), ("c", 1)], starts, samples)
    flat = [time for word in words for time in (word.start, word.end)]
    assert flat == sorted(flat)
    assert flat[0] >= 0.0
    assert flat[-1] <= 1.0
    assert timed([("a", 1)], np.array([0.0, 0.0]), samples[:10])[0].end <= 10 / RATE


def test_without_a_list_the_upper_half_of_the_decoder_follows_the_speech():
    assert default_heads(4, 2) == [(2, 0), (2, 1), (3, 0), (3, 1)]
    assert default_heads(1, 1) == [(0, 0)]


@pytest.fixture(scope="module")
def tiny() -> Any:
    return orality.build("transcriber", "whisper", device="cpu", timestamps=True)


def speech(parts: list[str], pause: float) -> tuple[Waveform, list[tuple[float, float]]]:
    """Spoken parts with silence between, and where the sound of each part is."""
    hibari = pytest.importorskip("hibari")
    voice = hibari.Hibari()
    samples, spans, now = [np.zeros(round(0.4 * RATE), np.float32)], [], 0.4
    for part in parts:
        said = np.asarray(voice(part, seed=0), np.float32)
        said = orality.resample(Waveform(said, 24000), RATE).samples
        loud = np.flatnonzero(np.abs(said) > 0.02 * np.abs(said).max())
        said = said[loud[0] : loud[-1]]
        spans.append((now, now + len(said) / RATE))
        samples += [said, np.zeros(round(pause * RATE), np.float32)]
        now = spans[-1][1] + pause
    return Waveform(np.concatenate(samples), RATE), spans


@pytest.mark.slow
def test_the_shipped_model_hears_speech(tiny: Any):
    waveform, _ = speech(["The cat sat on the warm blanket."], 0.3)
    (found,) = tiny.transcribe([waveform])
    assert found.text.lower().rstrip(".") == "the cat sat on the warm blanket"
    assert found.confidence > 0.7
    assert " ".join(word.text for word in found.words) == found.text


@pytest.mark.slow
def test_the_shipped_model_s_words_are_where_they_are_said(tiny: Any):
    parts = ["The old man walked", "down to the river", "and caught a fish."]
    waveform, spans = speech(parts, 0.7)
    (found,) = tiny.transcribe([waveform])
    counts = [len(part.split()) for part in parts]
    assert len(found.words) == sum(counts)
    times = [time for word in found.words for time in (word.start, word.end)]
    assert times == sorted(times)
    assert times[0] >= 0.0
    assert times[-1] <= waveform.duration
    ends = np.cumsum(counts)
    for (start, end), first, last in zip(spans, [0, *ends[:-1]], ends - 1, strict=True):
        assert found.words[first].start == pytest.approx(start, abs=0.12)
        assert found.words[last].end == pytest.approx(end, abs=0.12)


@pytest.mark.slow
def test_word_times_hold_in_any_batch_and_beyond_the_first_piece(tiny: Any):
    short, _ = speech(["A bird sang in the tree."], 0.5)
    parts = [
        "She opened the door and looked outside.", "It was a cold winter morning.",
        "Nobody walked along the street.", "A small dog barked at the gate.",
        "The baker carried fresh bread.", "Two children played in the snow.",
        "Their mother called them home.", "They drank a cup of hot milk.",
        "Then the sun came out again.", "Everyone went back to work.",
    ]  # fmt: skip
    long, spans = speech(parts, 1.1)
    assert long.duration > 24
    together = tiny.transcribe([long, short])
    (alone,) = tiny.transcribe([short])
    assert [w.text for w in together[1].words] == [w.text for w in alone.words]
    for one, other in zip(together[1].words, alone.words, strict=True):
        assert (one.start, one.end) == pytest.approx((other.start, other.end), abs=0.04)
    words = together[0].words
    assert [word.text for word in words[-5:]] == parts[-1].split()
    assert words[-1].end == pytest.approx(spans[-1][1], abs=0.15)
    assert words[-5].start == pytest.approx(spans[-1][0], abs=0.15)


@pytest.mark.slow
def test_the_shipped_model_hears_nothing_where_nobody_speaks(tiny: Any):
    draw = np.random.default_rng(0)
    seconds = (0.05, 0.5, 1.0, 3.0, 8.0, 20.0)
    sounds = [np.zeros(int(s * RATE)) for s in seconds]
    sounds += [np.full(int(s * RATE), 0.4) for s in seconds]
    sounds += [draw.normal(0, level, int(s * RATE)) for s in seconds for level in (1e-3, 0.1)]
    sounds += [0.1 * np.sin(2 * np.pi * 50 * np.arange(int(s * RATE)) / RATE) for s in seconds]
    batch = [Waveform(np.clip(x, -1, 1).astype(np.float32), RATE) for x in sounds]
    assert [found.text for found in tiny.transcribe(batch)] == [""] * len(batch)


@pytest.mark.slow
def test_a_given_text_is_aligned_where_it_is_said_in_any_batch(tiny: Any):
    assert isinstance(tiny, orality.SupportsAlignment)
    parts = ["The old man walked", "down to the river", "and caught a fish"]
    waveform, spans = speech(parts, 0.7)
    other, _ = speech(["A bird sang in the tree."], 0.5)
    silent = Waveform(np.zeros(RATE, np.float32), RATE)
    text = " ".join(parts).upper()
    found, _, nothing, empty, too_long = tiny.align(
        [waveform, other, silent, waveform, waveform],
        [text, "a bird sang in the tree", text, " ", "fish " * 500],
    )
    assert nothing is empty is too_long is None
    assert [word.text for word in found.words] == text.split()
    assert found.confidence > 0.5
    counts = [len(part.split()) for part in parts]
    ends = np.cumsum(counts)
    for (start, end), first, last in zip(spans, [0, *ends[:-1]], ends - 1, strict=True):
        assert found.words[first].start == pytest.approx(start, abs=0.12)
        assert found.words[last].end == pytest.approx(end, abs=0.12)
    (alone,) = tiny.align([waveform], [text])
    for one, same in zip(alone.words, found.words, strict=True):
        assert (one.start, one.end) == pytest.approx((same.start, same.end), abs=0.04)


@pytest.mark.slow
def test_another_text_than_was_said_is_aligned_with_little_confidence(tiny: Any):
    waveform, _ = speech(["The old man walked down to the river"], 0.3)
    right, wrong = tiny.align(
        [waveform, waveform],
        ["the old man walked down to the river", "my green umbrella costs about seven dollars"],
    )
    assert right.confidence > 10 * wrong.confidence
