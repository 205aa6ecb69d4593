"""Metrics of what continuations sound like; each needs a vocoder, and a model that is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from orality.audio import read_audio
from orality.errors import AudioError, EvaluationError
from orality.evaluation.continuations.metric import GenerationMetric, Observation, Record, Spoken
from orality.evaluation.metrics.prosody import voiced_mean
from orality.types import Waveform

Listen = Callable[[Waveform], Observation]


def opinion(name: str, load: Callable[[], Listen]) -> GenerationMetric:
    """A mean opinion score of each sample alone; `load` is called once there is one to hear."""

    def measure(spoken: Spoken) -> list[Observation]:
        listen = load()
        return [_heard(spoken, row, listen) for row in spoken.samples]

    return GenerationMetric(name, measure, stored=True)


def dnsmos_opinion(which: str) -> GenerationMetric:
    """DNSMOS: `overall`, `speech`, `background` (P.835) or `p808`."""

    def load() -> Listen:
        from orality.evaluation.metrics.dns_mos import load_dnsmos

        listen = load_dnsmos()

        def hear(waveform: Waveform) -> Observation:
            found = listen(waveform)
            return Observation(getattr(found, which))

        return hear

    return opinion(f"mos/dnsmos-{which}", load)


def nisqa_opinion() -> GenerationMetric:
    """NISQA v2.0, overall."""

    def load() -> Listen:
        from orality.evaluation.metrics.nisqa_mos import nisqa

        return lambda waveform: Observation(nisqa([waveform])[0].overall)

    return opinion("mos/nisqa-2.0", load)


def ssl_mos_opinion(checkpoint: Path, device: str) -> GenerationMetric:
    """SSL-MOS, the papers' MOSnet, with the weights in `checkpoint`."""

    def load() -> Listen:
        from orality.evaluation.metrics.ssl_mos import load_ssl_mos

        listen = load_ssl_mos(checkpoint, device=device)
        return lambda waveform: Observation(listen(waveform))

    return opinion(f"mos/ssl-mos/{checkpoint.stem}", load)


def same_speaker(folder: Path, device: str) -> GenerationMetric:
    """The cosine of a sample's speaker embedding and its prompt's."""

    def measure(spoken: Spoken) -> list[Observation]:
        from orality.evaluation.metrics.speakers import cosine, load_speaker_encoder

        embed = load_speaker_encoder(folder, device=device)
        prompts: dict[str, Waveform] = {}

        def hear(row: Record) -> Listen:
            prompt = _prompt(spoken, row, prompts)
            return lambda waveform: Observation(cosine(embed(prompt), embed(waveform)))

        return _with_prompts(spoken, hear)

    return GenerationMetric(f"sim/{folder.name}", measure, stored=True)


def same_pitch() -> GenerationMetric:
    """pGSLM's correlation of the mean F0 of prompts and continuations."""

    def measure(spoken: Spoken) -> list[Observation]:
        from orality.evaluation.metrics.f0 import f0_of

        prompts: dict[str, Waveform] = {}

        def hear(row: Record) -> Listen:
            before = voiced_mean(f0_of(_prompt(spoken, row, prompts)))

            def listen(waveform: Waveform) -> Observation:
                after = voiced_mean(f0_of(waveform))
                if before is None or after is None:
                    return Observation.failed("no voiced frame")
                return Observation(after, {"prompt": before})

            return listen

        return _with_prompts(spoken, hear)

    return GenerationMetric("f0-correlation/harvest", measure, "pearson", stored=True)


def pitch_spread() -> GenerationMetric:
    """The standard deviation of F0 in Hz over all voiced frames of all samples."""

    def load() -> Listen:
        from orality.evaluation.metrics.f0 import f0_of

        def hear(waveform: Waveform) -> Observation:
            found = f0_of(waveform)
            voiced = found[found > 0]
            if not len(voiced):
                return Observation.failed("no voiced frame")
            sums = {"count": len(voiced), "sum": voiced.sum(), "squares": np.square(voiced).sum()}
            return Observation(float(voiced.std()), {k: float(v) for k, v in sums.items()})

        return hear

    found = opinion("f0-std/harvest-voiced", load)
    return GenerationMetric(found.id, found.measure, "std", stored=True)


def _heard(spoken: Spoken, row: Record, listen: Listen) -> Observation:
    if row["audio"] is None:
        return Observation.failed("no sound")
    try:
        return listen(read_audio(spoken.folder / row["audio"]))
    except (AudioError, EvaluationError) as error:
        return Observation.failed(str(error))


def _with_prompts(spoken: Spoken, hear: Callable[[Record], Listen]) -> list[Observation]:
    found = []
    for row in spoken.samples:
        if spoken.prompts[row["prompt_id"]].audio is None:
            found.append(Observation.failed("the prompt has no recording"))
            continue
        try:
            found.append(_heard(spoken, row, hear(row)))
        except (AudioError, EvaluationError) as error:
            found.append(Observation.failed(f"the prompt: {error}"))
    return found


def _prompt(spoken: Spoken, row: Record, known: dict[str, Waveform]) -> Waveform:
    name, audio = row["prompt_id"], spoken.prompts[row["prompt_id"]].audio
    if name not in known and audio is not None:
        known[name] = read_audio(audio)
    return known[name]
