"""From a recipe's list of metrics to metrics: names and settings, checked before any work."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BeforeValidator,
    DirectoryPath,
    Field,
    FilePath,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)

from orality.errors import EvaluationError
from orality.evaluation.continuations import audio_metrics as heard
from orality.evaluation.continuations import metric as written
from orality.evaluation.continuations.further_judges import further_score
from orality.evaluation.continuations.metric import (
    GenerationMetric,
    Names,
    Observation,
    Spoken,
    of_tokens,
)
from orality.evaluation.metrics.gslm import UTTERANCES
from orality.evaluation.metrics.perplexities import Aggregation
from orality.evaluation.metrics.repetition import Variant
from orality.feedback import ConfiguredJudge
from orality.untrusted.settings import Settings

_HOME = BeforeValidator(lambda path: Path(path).expanduser() if isinstance(path, str) else path)
Folder = Annotated[DirectoryPath, _HOME]
File = Annotated[FilePath, _HOME]
DEFAULT = ("judge", "auto-bleu", "ppl", "empty")


class _Choice(Settings):
    """`extra`: the optional dependencies it needs, `packages` as they are imported."""

    extra: ClassVar[str] = ""
    packages: ClassVar[tuple[str, ...]] = ()

    def metric(self, names: Names) -> GenerationMetric:
        raise NotImplementedError


class Judge(_Choice):
    """The mean score of the evaluation's judge, or of one of the further judges by its label.

    `of`: instead of the score, what a further judge's verdicts hold under this name.
    """

    name: Literal["judge"]
    further: str | None = None
    of: Annotated[str, StringConstraints(pattern=r"^[\w.-]+$")] | None = None

    def metric(self, names: Names) -> GenerationMetric:
        if self.further is None:
            if self.of is not None:
                raise EvaluationError("only a further judge's metrics are kept; name its label")
            return written.judge_score(names)
        if self.further not in names.further:
            known = ", ".join(sorted(names.further)) or "none"
            raise EvaluationError(f"there is no further judge {self.further!r}; there are: {known}")
        judge = names.further[self.further]
        return further_score(self.further, judge, names.transcriber, self.of)


class AutoBleu(_Choice):
    """Repetition within a continuation."""

    name: Literal["auto-bleu"]
    variant: Variant = "align-slm"

    def metric(self, names: Names) -> GenerationMetric:
        return written.repetition(names, self.variant)


class Ppl(_Choice):
    """Perplexity of what was said, by the judge, or by a text model in a local folder."""

    name: Literal["ppl"]
    aggregation: Aggregation = "exp-mean"
    model: Folder | None = None
    conditional: bool = True
    """Given the true text of the prompt."""
    device: str = "cpu"

    def metric(self, names: Names) -> GenerationMetric:
        if self.model is None:
            if not self.conditional:
                raise EvaluationError("an unconditional ppl needs a model of its own")
            return written.judged_perplexity(names, self.aggregation)
        folder, conditional, device = self.model, self.conditional, self.device

        def measure(spoken: Spoken) -> list[Observation]:
            from orality.evaluation.text_lm import load_text_lm

            texts = [row["text"] or "" for row in spoken.samples]
            prompts = [spoken.prompts[row["prompt_id"]].text for row in spoken.samples]
            found = load_text_lm(folder, device=device)(texts, prompts if conditional else None)
            return [
                of_tokens(nll, tokens) if tokens else Observation.failed("nothing was said")
                for nll, tokens in found
            ]

        way = "cond" if conditional else "uncond"
        parts = ("ppl", folder.name, *filter(None, [names.transcriber]), way, self.aggregation)
        return GenerationMetric("/".join(parts), measure, self.aggregation, stored=True)


class Empty(_Choice):
    """The share in which nothing was said."""

    name: Literal["empty"]

    def metric(self, names: Names) -> GenerationMetric:
        return written.emptiness(names)


class SelfBleu(_Choice):
    """How much continuations resemble each other."""

    name: Literal["self-bleu"]
    limit: int | None = Field(UTTERANCES, ge=2)

    def metric(self, names: Names) -> GenerationMetric:
        return written.resemblance(names, self.limit)


class Vert(_Choice):
    """Diversity between and within continuations."""

    name: Literal["vert"]
    limit: int | None = Field(UTTERANCES, ge=2)

    def metric(self, names: Names) -> GenerationMetric:
        return written.diversity(names, self.limit)


class DnsMosChoice(_Choice):
    """DNSMOS of each continuation; the extra `mos`."""

    extra = "mos"
    packages = ("onnxruntime", "speechmos")
    name: Literal["dnsmos"]
    which: Literal["overall", "speech", "background", "p808"] = "overall"

    def metric(self, names: Names) -> GenerationMetric:
        return heard.dnsmos_opinion(self.which)


class SslMosChoice(_Choice):
    """SSL-MOS with given weights."""

    name: Literal["ssl-mos"]
    checkpoint: File
    device: str = "cpu"

    def metric(self, names: Names) -> GenerationMetric:
        return heard.ssl_mos_opinion(self.checkpoint, self.device)


class NisqaChoice(_Choice):
    """NISQA of each continuation; the extra `nisqa`."""

    extra = "nisqa"
    packages = ("torchmetrics", "librosa", "requests")
    name: Literal["nisqa"]

    def metric(self, names: Names) -> GenerationMetric:
        return heard.nisqa_opinion()


class SpeakerSimilarity(_Choice):
    """The cosine to the prompt's speaker by a WavLM x-vector model in a local folder."""

    name: Literal["speaker-similarity"]
    model: Folder
    device: str = "cpu"

    def metric(self, names: Names) -> GenerationMetric:
        return heard.same_speaker(self.model, self.device)


class F0Correlation(_Choice):
    """pGSLM's correlation of mean F0 with the prompt's; the extra `prosody`."""

    extra = "prosody"
    packages = ("pyworld",)
    name: Literal["f0-correlation"]

    def metric(self, names: Names) -> GenerationMetric:
        return heard.same_pitch()


class F0Std(_Choice):
    """The spread of F0; the extra `prosody`."""

    extra = "prosody"
    packages = ("pyworld",)
    name: Literal["f0-std"]

    def metric(self, names: Names) -> GenerationMetric:
        return heard.pitch_spread()


_HEARD = (DnsMosChoice, SslMosChoice, NisqaChoice, SpeakerSimilarity, F0Correlation, F0Std)
Choice = Annotated[
    Judge | AutoBleu | Ppl | Empty | SelfBleu | Vert | DnsMosChoice | SslMosChoice | NisqaChoice
    | SpeakerSimilarity | F0Correlation | F0Std,
    Field(discriminator="name"),
]  # fmt: skip
_ADAPTER: TypeAdapter[Any] = TypeAdapter(Choice)


def generation_metrics(
    chosen: Sequence[str | Mapping[str, Any]],
    *,
    judge: str = "judge",
    transcriber: str | None = "transcriber",
    spoken: bool = True,
    further_judges: Mapping[str, ConfiguredJudge] | None = None,
) -> list[GenerationMetric]:
    """The metrics of a recipe's list, in order; an entry is a name, or a name with settings.

    `judge`, `transcriber`: the names of the models that continuations are judged with, the latter
    None where units are counted. `spoken`: there is a vocoder. `further_judges` by
    label, for {"name": "judge", "further": label}. Raises EvaluationError that lists
    every mistake: an unknown name or setting, two metrics of one id, a missing package or folder, a
    metric that listens where nothing is spoken.
    """
    names, problems, found = Names(judge, transcriber, further_judges or {}), [], []
    for entry in chosen:
        given = {"name": entry} if isinstance(entry, str) else dict(entry)
        name = str(given.get("name"))
        try:
            choice = _ADAPTER.validate_python(given)
            found.append(choice.metric(names))
        except ValidationError as error:
            problems += [f"{name}: {_told(item)}" for item in error.errors()]
            continue
        except EvaluationError as error:
            problems.append(f"{name}: {error}")
            continue
        if isinstance(choice, _HEARD) and not spoken:
            problems.append(f"{name} listens, which needs a vocoder")
        absent = [item for item in choice.packages if importlib.util.find_spec(item) is None]
        if absent:
            problems.append(
                f"{name} needs {', '.join(absent)}: pip install 'orality[{choice.extra}]'"
            )
    ids = [metric.id for metric in found]
    problems += [
        f"{name} is asked for twice" for name in sorted({i for i in ids if ids.count(i) > 1})
    ]
    if problems:
        raise EvaluationError(f"these metrics cannot be measured: {'; '.join(problems)}")
    return found


def _told(error: Any) -> str:
    if error["type"] == "union_tag_invalid":
        return f"there is no such metric; choose from {error['ctx']['expected_tags']}"
    place = ".".join(str(part) for part in error["loc"][1:])
    what = "unknown setting" if error["type"] == "extra_forbidden" else error["msg"].lower()
    return f"{place}: {what}" if place else what
