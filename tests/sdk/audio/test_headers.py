"""A file that was cut is noticed in every container that says how long it is."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from orality import AudioError, read_audio
from orality.audio.headers import missing

NOISE = np.random.default_rng(0).normal(size=24_000).astype(np.float32) * 0.1
FORMS = [("WAV", "PCM_16"), ("WAV", "FLOAT"), ("WAVEX", "PCM_16"), ("RF64", "PCM_16"),
         ("AIFF", "PCM_16"), ("AU", "PCM_16"), ("W64", "PCM_16"), ("OGG", "VORBIS"),
         ("OGG", "OPUS"), ("FLAC", "PCM_16")]  # fmt: skip


def encoded(form, subtype):
    file = io.BytesIO()
    soundfile.write(file, NOISE, 24_000, format=form, subtype=subtype)
    return file.getvalue()


@pytest.mark.parametrize(("form", "subtype"), FORMS)
def test_a_whole_file_is_read(form, subtype):
    content = encoded(form, subtype)
    assert missing(io.BytesIO(content)) is None
    assert abs(read_audio(io.BytesIO(content)).duration - 1.0) < 0.05


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize(("form", "subtype"), FORMS)
def test_a_file_that_was_cut_is_refused(tmp_path, form, subtype, share):
    content = encoded(form, subtype)
    path = tmp_path / "a.bin"
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(AudioError, match=r"a\.bin"):
        read_audio(path)


@pytest.mark.parametrize("length", [b"\0\0\0\0", b"\xff\xff\xff\xff"])
def test_a_wav_that_was_written_as_a_stream_gives_no_length(length):
    content = bytearray(encoded("WAV", "PCM_16"))
    content[4:8] = b"\xff\xff\xff\xff"
    place = content.index(b"data") + 4
    content[place : place + 4] = length
    assert missing(io.BytesIO(bytes(content))) is None


@given(st.binary(max_size=200), st.sampled_from([b"RIFF", b"RF64", b"FORM", b"OggS", b".snd", b""]))
def test_any_bytes_have_an_answer(content, kind):
    assert missing(io.BytesIO(kind + content)) is None or isinstance(
        missing(io.BytesIO(kind + content)), str
    )


def test_a_rate_that_no_speech_has_is_refused(tmp_path):
    path = tmp_path / "a.flac"
    soundfile.write(path, np.zeros(1000), 655_350)
    with pytest.raises(AudioError, match="655350 Hz"):
        read_audio(path)
