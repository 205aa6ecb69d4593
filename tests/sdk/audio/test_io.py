from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile

from orality import AudioError, read_audio
from orality.audio import printable
from orality.errors import AudioLimitError

RATE = 16_000


def noise(seconds: float, channels: int = 1) -> np.ndarray:
    samples = np.random.default_rng(0).normal(0, 0.1, (int(seconds * RATE), channels))
    return samples.astype(np.float32)


@pytest.fixture
def recording(tmp_path):
    samples = noise(3, 2)
    soundfile.write(tmp_path / "r.wav", samples, RATE, subtype="FLOAT")
    return tmp_path / "r.wav", samples


def test_a_slice_and_a_channel_are_read_alone(recording):
    path, samples = recording
    part = read_audio(path, start=0.5, seconds=1.25, channel=1)
    assert (part.samples == samples[RATE // 2 : RATE // 2 + 20_000, 1]).all()
    rest = read_audio(path, start=2.0)
    np.testing.assert_allclose(rest.samples, samples[2 * RATE :].mean(axis=1), atol=1e-7)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"start": 2.5, "seconds": 1.0}, "lasts 3.00 s, and 2.50 s to 3.50 s was asked for"),
        ({"start": -1.0}, "was asked for"),
        ({"channel": 2}, "has 2 channels, none with the number 2"),
    ],
)
def test_a_slice_that_is_not_there_is_named(recording, options, said):
    path, _ = recording
    with pytest.raises(AudioError, match=said):
        read_audio(path, **options)


def test_a_list_that_is_a_little_wrong_about_the_end_is_not_a_reason_to_refuse(recording):
    path, _ = recording
    assert len(read_audio(path, start=2.0, seconds=1.05).samples) == RATE


def test_limits_are_those_of_what_is_decoded(recording):
    path, _ = recording
    with pytest.raises(AudioLimitError, match="lasts 3 s, more than the 2 s accepted"):
        read_audio(path, max_seconds=2.0)
    with pytest.raises(AudioLimitError, match=r"bytes, more than the 1000 accepted"):
        read_audio(path, max_bytes=1000)
    assert read_audio(path, seconds=1.0, max_seconds=2.0, max_bytes=1000).duration == 1.0


def test_floats_beyond_one_keep_their_shape(tmp_path):
    samples = noise(1)
    soundfile.write(tmp_path / "loud.wav", 50 * samples, RATE, subtype="FLOAT")
    soundfile.write(tmp_path / "quiet.wav", samples, RATE, subtype="FLOAT")
    loud, quiet = (read_audio(tmp_path / f"{name}.wav").samples for name in ("loud", "quiet"))
    assert np.abs(loud).max() == 1.0
    np.testing.assert_allclose(loud, quiet / np.abs(quiet).max(), atol=1e-6)
    assert (quiet == samples[:, 0]).all()


def streamed_flac(seconds: float) -> bytes:
    """The header tells no number of samples (36 bits from byte 21 on)."""
    file = io.BytesIO()
    soundfile.write(file, noise(seconds), RATE, format="FLAC")
    content = bytearray(file.getvalue())
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    return bytes(content)


def test_a_stream_that_does_not_tell_its_length_is_read_and_bounded(tmp_path):
    path = tmp_path / "stream.flac"
    path.write_bytes(streamed_flac(7.0))
    np.testing.assert_allclose(read_audio(path).samples, noise(7.0)[:, 0], atol=2**-15)
    assert read_audio(io.BytesIO(path.read_bytes()), start=6.0).duration == 1.0
    with pytest.raises(AudioLimitError, match="more than the 5 s accepted"):
        read_audio(path, max_seconds=5.0)


@pytest.mark.parametrize("suffix", ["flac", "mp3"])
def test_a_file_that_ends_early_is_no_recording(tmp_path, suffix):
    path = tmp_path / f"cut.{suffix}"
    soundfile.write(path, noise(8), RATE)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(AudioError, match=f"cut.{suffix} cannot be read as audio"):
        read_audio(path)


def test_a_missing_file_is_named_with_the_system_s_reason(tmp_path):
    with pytest.raises(AudioError, match=r"gone\.wav cannot be read as audio: No such file"):
        read_audio(tmp_path / "gone.wav")


def test_any_name_is_printable():
    assert printable("caf\udce9.wav") == "caf\\xe9.wav"
    assert printable("café.wav") == "café.wav"
