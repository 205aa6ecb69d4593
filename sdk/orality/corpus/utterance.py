"""An utterance: what a corpus knows about a recording, and the one way to read it."""

from __future__ import annotations

from dataclasses import dataclass, field

from orality.audio import AudioLimits
from orality.corpus.recording import Recording
from orality.corpus.times import check_end
from orality.errors import AudioError, CorpusError
from orality.types import Waveform, Word


@dataclass(frozen=True, slots=True)
class Utterance:
    """A recording and what is known about it; `words` may be empty, `text` may be None.

    `split`: train prompts make preference pairs, dev chooses the checkpoint, test is evaluated.
    """

    id: str
    recording: Recording
    text: str | None
    words: tuple[Word, ...]
    split: str
    language: str
    limits: AudioLimits = field(default=AudioLimits(), repr=False)

    @property
    def audio(self) -> str:
        """Where the sound lies: a path, a slice of it, or a row of a table; always printable."""
        return self.recording.name

    def load(self, *, sample_rate: int | None = None) -> Waveform:
        """Read the recording as mono float32, resampled when `sample_rate` is given.

        Raises AudioError, naming `audio`, for what cannot be read or has words after its end,
        AudioLimitError for what is longer or larger than the corpus was told to accept.
        """
        waveform = self.recording.load(self.limits, sample_rate)
        try:
            check_end(self.words, waveform.duration, self.audio)
        except CorpusError as error:
            raise AudioError(str(error)) from error
        return waveform
