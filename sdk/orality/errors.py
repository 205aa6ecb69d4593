"""Every error this package raises on purpose, in one tree."""

from __future__ import annotations


class OralityError(Exception):
    """The root: catch this to catch everything orality raises on purpose."""


class RecipeError(OralityError):
    """A recipe cannot be read or holds settings that cannot work."""


class PluginError(OralityError):
    """A component is missing, broken, incompatible or asked for ambiguously."""


class CompatibilityError(OralityError):
    """The chosen components cannot work together."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        lines = "".join(f"\n  - {problem}" for problem in problems)
        super().__init__(f"these components cannot work together:{lines}")


class CheckpointError(OralityError):
    """A checkpoint is missing, incomplete, or not what it claims to be."""


class DownloadError(OralityError):
    """Weights could not be fetched: no network, a refused address, or a wrong checksum."""


class AudioError(OralityError):
    """A recording cannot be decoded or is outside the accepted limits."""


class AudioLimitError(AudioError):
    """A recording is longer or larger than is accepted."""


class CorpusError(OralityError):
    """A corpus is empty, has no usable recording, or its manifest is malformed."""


class StoreError(OralityError):
    """A run folder cannot be read, written, or belongs to another recipe."""


class TrainingError(OralityError):
    """Training cannot start or must stop: no pairs, a non-finite loss, a stale reference."""


class JudgeError(OralityError):
    """A judge cannot go on: no key or a refused one, a spent budget, a server that is away."""


class EvaluationError(OralityError):
    """A benchmark is missing, malformed or cannot be scored by the model at hand."""


class SharingError(OralityError):
    """A run cannot be shared: nothing trained yet, a place in use, no token, no network."""
