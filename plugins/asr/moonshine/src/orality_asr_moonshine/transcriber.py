"""Moonshine's encoder and decoder run by onnxruntime, one recording at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orality import (
    CheckpointError,
    CompatibilityError,
    Transcript,
    Waveform,
    fetch,
    resample,
)
from orality_asr_moonshine import MoonshineConfig
from orality_asr_moonshine.checkpoint import TINY_EN
from orality_asr_moonshine.vocabulary import read_vocabulary, to_text

SAMPLE_RATE = 16000
_START, _END = 1, 2
# The model's makers bound the output so; above it, it repeats itself.
_TOKENS_PER_SECOND, _SPARE_TOKENS = 6.5, 8
_SHORTEST = 0.1 * SAMPLE_RATE
_LONGEST = 30 * SAMPLE_RATE
_SILENCE = 10 ** (-55 / 20)


class MoonshineTranscriber:
    """A Moonshine model; see `orality.Transcriber`.

    Its own toolkit cuts recordings by a voice detector and hears words in the first cut; here the
    whole recording goes to the encoder.
    """

    sample_rate = SAMPLE_RATE

    def __init__(self, encoder: Any, decoder: Any, vocabulary: list[bytes]) -> None:
        self._encoder = encoder
        self._decoder = decoder
        self._vocabulary = vocabulary
        self._encoder_inputs = {item.name for item in encoder.get_inputs()}
        self._decoder_inputs = {item.name: item for item in decoder.get_inputs()}
        self._outputs = [item.name for item in decoder.get_outputs()]

    def transcribe(
        self, batch: Sequence[Waveform], *, language: str | None = None
    ) -> list[Transcript]:
        """Write down each waveform; silence gives an empty text with no confidence.

        Recordings over 30 s are cut into equal parts of at most that. CompatibilityError for a
        language other than English.
        """
        if language not in (None, "en"):
            raise CompatibilityError([f"moonshine tiny-en hears English only, not {language!r}"])
        return [self._transcribe(resample(waveform, SAMPLE_RATE)) for waveform in batch]

    def _transcribe(self, waveform: Waveform) -> Transcript:
        samples = np.nan_to_num(waveform.samples).astype(np.float32)
        texts, log_probs = [], []
        for part in np.array_split(samples, max(1, math.ceil(len(samples) / _LONGEST))):
            if len(part) < _SHORTEST or float(np.sqrt(np.square(part).mean())) < _SILENCE:
                continue
            ids, found = self._decode(part)
            text = to_text(ids, self._vocabulary)
            if text:
                texts.append(text)
                log_probs += found
        if not texts:
            return Transcript("")
        return Transcript(" ".join(texts), confidence=math.exp(float(np.mean(log_probs))))

    def _decode(self, samples: NDArray[np.float32]) -> tuple[list[int], list[float]]:
        """Greedy token ids, and the log-probability of each step, the end included."""
        audio = samples[None]
        mask = np.ones(audio.shape, np.int64)
        feed = {"input_values": audio, "attention_mask": mask}
        wanted = {name: value for name, value in feed.items() if name in self._encoder_inputs}
        states = self._encoder.run(None, wanted)[0]
        past = self._empty_cache()
        ids, log_probs, token = [], [], _START
        limit = math.ceil(_TOKENS_PER_SECOND * len(samples) / SAMPLE_RATE) + _SPARE_TOKENS
        for step in range(limit):
            feed = {
                "input_ids": np.array([[token]], np.int64),
                "encoder_hidden_states": states,
                "encoder_attention_mask": mask,
                "use_cache_branch": np.array([step > 0]),
                **past,
            }
            wanted = {name: value for name, value in feed.items() if name in self._decoder_inputs}
            found = dict(zip(self._outputs, self._decoder.run(None, wanted), strict=True))
            logits = found["logits"][0, -1].astype(np.float64)
            token = int(logits.argmax())
            top = float(logits.max())
            log_probs.append(-math.log(float(np.exp(logits - top).sum())))
            if token == _END:
                break
            ids.append(token)
            for name in past:
                # What the decoder keeps of the encoder is written by the first step only.
                if step == 0 or ".decoder." in name:
                    past[name] = found[name.replace("past_key_values", "present")]
        return ids, log_probs

    def _empty_cache(self) -> dict[str, NDArray[np.float32]]:
        """One empty array per cache input: (1, heads, 0, width)."""
        cache = {}
        for name, item in self._decoder_inputs.items():
            if name.startswith("past"):
                _, heads, _, width = item.shape
                cache[name] = np.zeros((1, int(heads), 0, int(width)), np.float32)
        return cache


def load(config: MoonshineConfig) -> MoonshineTranscriber:
    """Open the two networks and the vocabulary; CheckpointError when one is missing."""
    import onnxruntime

    folder = fetch(TINY_EN if config.checkpoint == "tiny-en" else config.checkpoint)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = config.threads
    options.log_severity_level = 3

    def session(stem: str) -> Any:
        path = _find(folder, stem)
        try:
            return onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise CheckpointError(f"onnxruntime cannot read {path}: {error}") from error

    vocabulary = folder / "tokenizer.bin"
    if not vocabulary.is_file():
        raise CheckpointError(f"{folder} holds no tokenizer.bin, so it is no Moonshine folder")
    return MoonshineTranscriber(
        session("encoder_model"), session("decoder_model_merged"), read_vocabulary(vocabulary)
    )


def _find(folder: Path, stem: str) -> Path:
    for path in (folder / f"{stem}.ort", folder / f"{stem}.onnx"):
        if path.is_file():
            return path
    raise CheckpointError(f"{folder} holds neither {stem}.ort nor {stem}.onnx")
