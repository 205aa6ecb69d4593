"""The transcriber: recordings in, texts out, in batches that never change a result."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from orality import CheckpointError, CompatibilityError, Transcript, Waveform, fetch, resample
from orality.checkpoints import read_json
from orality_asr_whisper import WhisperConfig
from orality_asr_whisper.checkpoint import TINY_EN
from orality_asr_whisper.decoding import Decoded, Rules, encode, greedy, silence, with_silence
from orality_asr_whisper.features import SAMPLE_RATE, log_mel
from orality_asr_whisper.segments import cut, is_silent, padded_length

# Words surer than this (mean log-probability) count even where silence seems likely, as in
# "Robust Speech Recognition via Large-Scale Weak Supervision", section 4.5.
_SURE = -1.0


class WhisperTranscriber:
    """A Whisper model with its tokenizer; see `orality.Transcriber`."""

    sample_rate = SAMPLE_RATE

    def __init__(
        self, model: Any, tokenizer: Any, config: WhisperConfig, suppressed: dict[str, list[int]]
    ) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._config = config
        self._suppressed = suppressed
        with torch.inference_mode():
            self._silence = silence(model, model.config.num_mel_bins)
        self._multilingual = model.config.vocab_size >= 51865

    def transcribe(
        self, batch: Sequence[Waveform], *, language: str | None = None
    ) -> list[Transcript]:
        """Write down each waveform; silence gives an empty text with no confidence.

        Recordings over 24 s are cut at quiet places. `confidence`: exp of the tokens' mean
        log-probability. CompatibilityError for a language the checkpoint does not know.
        """
        spoken = language or self._config.language
        rules = self._rules(spoken)
        pieces: list[tuple[int, NDArray[np.float32]]] = []
        for index, waveform in enumerate(batch):
            samples = np.nan_to_num(resample(waveform, SAMPLE_RATE).samples)
            pieces += [(index, piece) for piece in cut(samples) if not is_silent(piece)]
        decoded: dict[int, Decoded] = {}
        for rows in _batches([len(p) for _, p in pieces], self._config.batch_seconds):
            found = self._decode([pieces[row][1] for row in rows], rules)
            decoded |= dict(zip(rows, found, strict=True))
        heard: list[list[Decoded]] = [[] for _ in batch]
        for row, (index, _) in enumerate(pieces):
            item = decoded[row]
            unsure = item.mean_log_prob < _SURE
            if item.ids and not (unsure and item.no_speech > self._config.no_speech_threshold):
                heard[index].append(item)
        written = "en" if self._config.task == "translate" else spoken
        return [self._transcript(items, written) for items in heard]

    def _decode(self, clips: list[NDArray[np.float32]], rules: Rules) -> list[Decoded]:
        length = padded_length(len(clips[0]))
        padded = np.zeros((len(clips), length), np.float32)
        for row, clip in enumerate(clips):
            padded[row, : len(clip)] = clip
        with torch.inference_mode():
            samples = torch.from_numpy(padded).to(self._model.device)
            mels = log_mel(samples, self._model.config.num_mel_bins).to(self._model.dtype)
            seconds = [len(clip) / SAMPLE_RATE for clip in clips]
            states = with_silence(encode(self._model, mels), self._silence)
            return greedy(self._model, states, rules, seconds)

    def _transcript(self, items: list[Decoded], language: str) -> Transcript:
        if not items:
            return Transcript("", language=language, task=self._config.task)
        text = " ".join(self._tokenizer.decode(item.ids).strip() for item in items).strip()
        tokens = [len(item.ids) + 1 for item in items]
        total = sum(item.mean_log_prob * n for item, n in zip(items, tokens, strict=True))
        confidence = min(1.0, math.exp(total / sum(tokens)))
        return Transcript(text, language=language, task=self._config.task, confidence=confidence)

    def _rules(self, language: str) -> Rules:
        names = ["<|startoftranscript|>"]
        if self._multilingual:
            names += [f"<|{language}|>", f"<|{self._config.task}|>"]
        elif language != "en" or self._config.task != "transcribe":
            raise CompatibilityError(
                [f"{self._config.checkpoint} only transcribes English, not {language!r}"]
            )
        ids = [self._tokenizer.token_to_id(name) for name in (*names, "<|notimestamps|>")]
        if None in ids:
            raise CompatibilityError(
                [f"{self._config.checkpoint} does not know the language {language!r}"]
            )
        silent = [self._tokenizer.token_to_id(f"<|no{w}|>") for w in ("speech", "captions")]
        end = self._tokenizer.token_to_id("<|endoftext|>")
        # Without timestamps every special token but the end is out of place.
        special = range(end + 1, self._model.config.vocab_size)
        return Rules(
            prompt=tuple(ids),
            end=end,
            no_speech=next((i for i in silent if i is not None), None),
            suppressed=(*self._suppressed["suppress_tokens"], *special),
            suppressed_first=tuple(self._suppressed["begin_suppress_tokens"]),
        )


def load(config: WhisperConfig) -> WhisperTranscriber:
    """Read the checkpoint; CheckpointError when the folder is not a transformers Whisper."""
    from tokenizers import Tokenizer
    from transformers import WhisperForConditionalGeneration

    folder = fetch(TINY_EN if config.checkpoint == "tiny.en" else config.checkpoint)
    device = config.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    # Half precision is for the GPU: a CPU multiplies float16 some hundred times slower.
    dtype = torch.float16 if device.startswith("cuda") else torch.float32
    try:
        model = WhisperForConditionalGeneration.from_pretrained(
            folder, dtype=dtype, local_files_only=True, use_safetensors=True
        )
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:
        raise CheckpointError(
            f"{folder} cannot be read as a transformers Whisper folder with model.safetensors and "
            f"tokenizer.json: {error}"
        ) from error
    return WhisperTranscriber(
        model.eval().requires_grad_(False).to(device), tokenizer, config, _suppressed(folder)
    )


def _suppressed(folder: Path) -> dict[str, list[int]]:
    path = folder / "generation_config.json"
    content = read_json(path) if path.exists() else {}
    names = ("suppress_tokens", "begin_suppress_tokens")
    return {name: [i for i in content.get(name) or [] if i >= 0] for name in names}


def _batches(lengths: Sequence[int], batch_seconds: float) -> Iterator[list[int]]:
    """Row numbers of clips with equal padded length, at most `batch_seconds` of audio each."""
    groups: dict[int, list[int]] = {}
    for row, length in enumerate(lengths):
        groups.setdefault(padded_length(length), []).append(row)
    for length, rows in sorted(groups.items()):
        size = max(1, int(batch_seconds * SAMPLE_RATE / length))
        yield from (rows[start : start + size] for start in range(0, len(rows), size))
