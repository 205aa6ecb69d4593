"""Text spoken by a synthetic voice, with the times of its phones and words.

`hibari` (neural, the embedded stack's own voice) needs the extra `stories`; the voices
`slt`, `awb`, `kal16` and `rms` need the program flite.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from orality.errors import CorpusError
from orality.pretraining.stories.phones import Span, phone_spans

RATE = 16_000
FLITE_VOICES = ("slt", "awb", "kal16", "rms")
VOICES = ("hibari", *FLITE_VOICES)

Audio = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Spoken:
    """A sentence as speech: 16 kHz mono in [-1, 1], spans in seconds from its start."""

    text: str
    voice: str
    samples: Audio
    phones: tuple[Span, ...]
    words: tuple[Span, ...]


Speaker = Callable[[str], Spoken]


def speaker(voice: str) -> Speaker:
    """A function that speaks one sentence in the voice; CorpusError when it is not installed."""
    if voice == "hibari":
        return hibari()
    if voice in FLITE_VOICES:
        if shutil.which("flite") is None:
            raise CorpusError(
                f"voice {voice!r} needs the program flite, which is not on the PATH: "
                "install it (Debian: apt-get install flite) or leave this voice out"
            )
        from orality.pretraining.stories.flite import flite

        return flite(voice)
    raise CorpusError(f"got voice {voice!r}; wanted one of {', '.join(VOICES)}")


def plain_words(text: str) -> list[str]:
    """The words of a sentence without punctuation; `[word](/phonemes/)` counts as `word`."""
    return re.findall(r"[A-Za-z']+", re.sub(r"\]\(/[^)]*\)", "]", text))


@cache
def hibari() -> Speaker:
    """The neural voice; a word may carry its own phonemes: `the [blick](/blˈɪk/).`"""
    try:
        import soxr
        from hibari import Hibari, dsp
    except ImportError as error:
        raise CorpusError(
            f"voice 'hibari' needs {error.name}, which is not installed: "
            'pip install "orality[stories]"'
        ) from error
    tts: Any = Hibari(model=_model_with_durations())

    def speak(text: str) -> Spoken:
        symbols = "".join(c for c in " ".join(tts.phonemize(text)) if c in tts.vocab)
        if not symbols:
            raise CorpusError(f"got text {text!r}, in which there is nothing to say")
        ids = np.asarray([tts.ids(symbols)], np.int64)
        *parts, durations = tts.sess.run(None, {"ids": ids, "speed": np.ones(1, np.float32)})
        noise = np.random.default_rng(crc32(text.encode()))
        wave = dsp.synth(*(p[0] for p in parts), noise)
        frames = durations.reshape(-1)  # one count per id
        seconds = frames * (len(wave) / tts.sample_rate / frames.sum())
        # The pads at both ends are silence, written as full stops for the span builder.
        phones, times = phone_spans(f".{symbols}.", seconds.tolist())
        names = plain_words(text)
        if len(times) != len(names):
            raise CorpusError(
                f"got {len(times)} spoken words for {len(names)} written ones in {text!r}"
            )
        samples = soxr.resample(wave, tts.sample_rate, RATE).astype(np.float32)
        words = tuple((n, round(s, 4), round(e, 4)) for n, (s, e) in zip(names, times, strict=True))
        return Spoken(
            re.sub(r"\[([^\]]*)\]\(/[^)]*\)", r"\1", text),
            "hibari",
            np.clip(samples, -1.0, 1.0),
            tuple((n, round(s, 4), round(e, 4)) for n, s, e in phones),
            words,
        )

    return speak


def _model_with_durations() -> bytes:
    """The voice's ONNX graph with its per-symbol frame counts as one more output."""
    import onnx
    from hibari.voices import voice_path

    model = onnx.load(voice_path("heart"))
    rounded = {o for node in model.graph.node if node.op_type == "Round" for o in node.output}
    clipped = [
        n.output[0] for n in model.graph.node if n.op_type == "Clip" and n.input[0] in rounded
    ]
    if len(clipped) != 1:
        raise CorpusError(
            f"got {len(clipped)} duration tensors in the hibari model, wanted one: "
            "this release of hibari-tts is not supported; try hibari-tts==0.2.1"
        )
    model.graph.output.append(onnx.helper.make_empty_tensor_value_info(clipped[0]))
    data: bytes = model.SerializeToString()
    return data
