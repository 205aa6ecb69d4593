"""The components of a recipe, each built when first asked for.

A resumed run builds only those that still have work.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from orality.checkpoints import noted_checkpoints
from orality.feedback import ConfiguredJudge
from orality.protocols import SpeechLM, SpeechTokenizer, Transcriber, Vocoder
from orality.recipe import Configured, ResolvedRecipe, kind_of
from orality.weights import WeightFile, weight_files

logger = logging.getLogger(__name__)


class Components:
    """The components of `resolved`, built once each.

    `on_built` gets a component's place in the recipe (`slm`, `evaluation.judge`) and its weights.
    """

    def __init__(
        self,
        resolved: ResolvedRecipe,
        on_built: Callable[[str, Sequence[WeightFile]], object] = lambda place, weights: None,
    ) -> None:
        self.resolved, self._on_built = resolved, on_built
        self._built: dict[str, Any] = {}

    def get(self, part: Configured | None) -> Any:
        """A built component; None for none."""
        if part is None:
            return None
        if part.place not in self._built:
            self._built[part.place] = self._build(part)
        return self._built[part.place]

    def builder(self, part: Configured | None) -> Callable[[], Any] | None:
        """A function that returns the built component; None for none."""
        return None if part is None else partial(self.get, part)

    def _build(self, part: Configured) -> Any:
        started = time.monotonic()
        with noted_checkpoints() as checkpoints:
            built = part.build()
        self._on_built(part.place, weight_files(checkpoints))
        seconds = time.monotonic() - started
        logger.info("%s %r is ready after %.1f s", kind_of(part.place), part.name, seconds)
        return built

    @property
    def tokenizer(self) -> SpeechTokenizer:
        """Speech to units."""
        tokenizer: SpeechTokenizer = self.get(self.resolved.parts["tokenizer"])
        return tokenizer

    @property
    def slm(self) -> SpeechLM:
        """The pre-trained model."""
        slm: SpeechLM = self.get(self.resolved.parts["slm"])
        return slm

    @property
    def vocoder(self) -> Vocoder | None:
        """Units to speech."""
        vocoder: Vocoder | None = self.get(self.resolved.first("vocoder"))
        return vocoder

    @property
    def transcriber(self) -> Transcriber | None:
        """Of the rounds' continuations."""
        transcriber: Transcriber | None = self.get(self.resolved.first("transcriber"))
        return transcriber

    @property
    def corpus_transcriber(self) -> Transcriber | None:
        """Of the corpus' recordings."""
        place = self.resolved.first("corpus.transcriber", "transcriber")
        transcriber: Transcriber | None = self.get(place)
        return transcriber

    @property
    def evaluation_transcriber(self) -> Transcriber | None:
        """Of held-out continuations."""
        transcriber: Transcriber | None = self.get(self.resolved.evaluation_transcriber)
        return transcriber

    @property
    def judges(self) -> dict[str, ConfiguredJudge]:
        """Every judge of a round, by the folder of its verdicts."""
        return {folder: self.judge(part) for folder, part in self.resolved.judges.items()}

    def judge(self, part: Configured) -> ConfiguredJudge:
        """A judge of the recipe, built once there is something to judge."""
        return ConfiguredJudge.of(part, self.get)
