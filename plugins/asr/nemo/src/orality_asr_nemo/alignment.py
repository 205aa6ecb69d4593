"""Forced alignment with the CTC decoder that a NeMo model has, alone or beside another one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orality import Transcript
from orality.audio.ctc import align_words, spelled


@dataclass(frozen=True, slots=True)
class CtcAligner:
    """A CTC or hybrid model's own words, letters and frames."""

    model: Any
    decoder: Any
    vocabulary: tuple[str, ...]

    @property
    def blank(self) -> int:
        """NeMo's is the last."""
        return len(self.vocabulary)

    @property
    def frame_seconds(self) -> float:
        """How long a frame of the decoder is."""
        stride = float(self.model.cfg["preprocessor"]["window_stride"])
        return stride * int(self.model.encoder.subsampling_factor)

    def align(
        self, clips: Sequence[NDArray[np.float32]], texts: Sequence[str], rate: int, language: str
    ) -> list[Transcript | None]:
        """One transcript each, None where there are fewer frames than tokens, or no text."""
        found: list[Transcript | None] = []
        between = [] if self._pieces is not None else self._letters(" ")
        for clip, log_probs, text in zip(clips, self._log_probs(clips), texts, strict=True):
            words = [(word, self._tokens(word, language)) for word in text.split()]
            found.append(
                align_words(
                    log_probs,
                    words,
                    blank=self.blank,
                    frame_seconds=self.frame_seconds,
                    seconds=len(clip) / rate,
                    between=between,
                    language=language,
                )
            )
        return found

    def _log_probs(self, clips: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        import torch

        lengths = torch.tensor([len(clip) for clip in clips])
        padded = np.zeros((len(clips), int(lengths.max())), np.float32)
        for row, clip in enumerate(clips):
            padded[row, : len(clip)] = clip
        device = next(self.model.parameters()).device
        with torch.inference_mode():
            encoded, frames = self.model.forward(
                input_signal=torch.from_numpy(padded).to(device),
                input_signal_length=lengths.to(device),
            )[:2]
            # A CTC model's first output is its decoder's already, a hybrid's is the encoder's.
            own = self.decoder is getattr(self.model, "decoder", None)
            log_probs = encoded if own else self.decoder(encoder_output=encoded)
        return [
            row[: int(count)].float().cpu().numpy()
            for row, count in zip(log_probs, frames, strict=True)
        ]

    @property
    def _pieces(self) -> Any:
        """The tokenizer of a model that writes pieces of words; None where it writes letters."""
        return getattr(self.model, "tokenizer", None)

    def _tokens(self, word: str, language: str) -> list[int]:
        """A word as the model would write it; what it cannot write is left out."""
        known = spelled(word, {letter for piece in self.vocabulary for letter in piece})
        if not known:
            return []
        if self._pieces is None:
            return self._letters(known)
        if hasattr(self._pieces, "tokenizers_dict"):  # one tokenizer for each language
            return [int(i) for i in self._pieces.text_to_ids(known, language)]
        return [int(i) for i in self._pieces.text_to_ids(known)]

    def _letters(self, text: str) -> list[int]:
        return [self.vocabulary.index(letter) for letter in text if letter in self.vocabulary]


def ctc_aligner(model: Any) -> CtcAligner | None:
    """The aligner of a CTC or hybrid model, or of the one inside a later Canary; else None."""
    if hasattr(model, "ctc_decoder"):
        return CtcAligner(model, model.ctc_decoder, tuple(model.ctc_decoder.vocabulary))
    if hasattr(getattr(model, "decoding", None), "ctc_decoder_predictions_tensor"):
        return CtcAligner(model, model.decoder, tuple(model.decoder.vocabulary))
    inside = getattr(model, "timestamps_asr_model", None)
    return None if inside is None else ctc_aligner(inside)
