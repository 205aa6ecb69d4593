"""The same test for Mechanical Turk, Prolific and webMUSHRA."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from orality.errors import EvaluationError
from orality.listening.design import Design
from orality.listening.page import SCALE, TEXTS, render_hit, render_page
from orality.listening.sounds import Load, embedded, encode, joined, write_clips
from orality.store.files import atomic_write

MTURK_BYTES = 65_535  # of a HIT's layout


@dataclass(frozen=True, slots=True)
class Delivery:
    """How a page brings its recordings (inside or beside it) and takes back answers.

    Without a `submit_url` a rater saves the answers as a file; `completion_code` is shown then.
    """

    embed: bool = True
    completion_code: str | None = None
    submit_url: str | None = None


def write_page(
    folder: Path, design: Design, test: str, clips: Mapping[str, Load], how: Delivery
) -> Path:
    """Write index.html, with its recordings inside or in audio/."""
    if not how.embed:
        write_clips(folder / "audio", clips)
    html = render_page(
        design,
        test,
        embedded=embedded(clips) if how.embed else None,
        completion_code=how.completion_code,
        submit_url=how.submit_url,
    )
    return _write(folder / "index.html", html)


def write_prolific(
    folder: Path,
    design: Design,
    test: str,
    clips: Mapping[str, Load],
    how: Delivery,
    *,
    study_url: str,
    raters: int,
    minutes: int,
) -> Path:
    """Write the page and `study.json`, the study as Prolific's API takes it.

    Raters come with PROLIFIC_PID in the address and go back with the completion code.
    """
    if not how.completion_code:
        raise EvaluationError("a study on Prolific needs a completion code")
    write_page(folder, design, test, clips, how)
    marks = ("PROLIFIC_PID", "STUDY_ID", "SESSION_ID")
    query = "&".join(f"{name}={{{{%{name}%}}}}" for name in marks)
    texts = TEXTS[design.kind]
    study = {
        "name": texts.title,
        "internal_name": f"listening test {test}",
        "description": " ".join(texts.introduction),
        "external_study_url": f"{study_url}{'&' if '?' in study_url else '?'}{query}",
        "prolific_id_option": "url_parameters",
        "completion_codes": [
            {
                "code": how.completion_code,
                "code_type": "COMPLETED",
                "actions": [{"action": "MANUALLY_REVIEW"}],
            }
        ],
        "total_available_places": raters * len(design.sets),
        "estimated_completion_time": minutes,
        "device_compatibility": ["desktop", "tablet", "mobile"],
        "peripheral_requirements": ["audio"],
    }
    return _write(folder / "study.json", json.dumps(study, indent=2) + "\n")


def write_mturk(
    folder: Path, design: Design, test: str, clips: Mapping[str, Load], *, audio_url: str
) -> Path:
    """Write `hit.html` (the layout), `input.csv` (a HIT per set), and audio/ to upload."""
    if not audio_url.startswith("https://"):
        raise EvaluationError(
            f"Mechanical Turk plays recordings from an https address, got {audio_url!r}; say with "
            "--audio-url where the folder audio/ will lie"
        )
    html = render_hit(design, test, base=audio_url.rstrip("/") + "/")
    size = len(html.encode())
    if size > MTURK_BYTES:
        raise EvaluationError(
            f"the layout has {size:,} bytes, Mechanical Turk takes {MTURK_BYTES:,}; make a test of "
            "fewer prompts, or several"
        )
    write_clips(folder / "audio", clips)
    _write(folder / "hit.html", html)
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["set"])
    writer.writerows([[index] for index in range(len(design.sets))])
    return _write(folder / "input.csv", buffer.getvalue())


def write_webmushra(folder: Path, design: Design, test: str, clips: Mapping[str, Load]) -> Path:
    """Write a configuration per set and the stimuli: prompt and continuations in one recording.

    To be copied into webMUSHRA's folder. Its results name no rater, so that the last page asks
    for one. Which of two continuations comes first was drawn with the design.
    """
    texts = TEXTS[design.kind]
    place = f"configs/resources/audio/{test}"
    by_id = {trial.id: trial for trial in design.trials}
    for trial in design.trials:
        sound = encode(joined([clips[name]() for name in trial.clips]), ".wav")
        path = folder / "stimuli" / f"{trial.id}.wav"
        atomic_write(path, lambda file, sound=sound: file.write(sound))  # type: ignore[misc]
    if design.kind == "mmos":
        response = [
            {"value": value, "label": f"{value} {label}"} for value, label in reversed(SCALE)
        ]
    else:
        response = [
            {"value": "a", "label": "The first is better"},
            {"value": "tie", "label": "No difference"},
            {"value": "b", "label": "The second is better"},
        ]
    what = "the prompt, then its continuation" if design.kind == "mmos" else (
        "the prompt, then one continuation, then another")  # fmt: skip
    for number, ids in enumerate(design.sets):
        config = {
            "testname": texts.title,
            "testId": f"{test}-{number}",
            "bufferSize": 2048,
            "stopOnErrors": True,
            "showButtonPreviousPage": False,
            "remoteService": "service/write.php",
            "pages": [
                {
                    "type": "generic",
                    "id": "introduction",
                    "name": texts.title,
                    "content": "".join(f"<p>{line}</p>" for line in texts.introduction)
                    + "<ul>" + "".join(f"<li>{rule}</li>" for rule in texts.rules) + "</ul>",
                },
                {
                    "type": "likert_single_stimulus",
                    "id": "trials",
                    "name": texts.question,
                    "content": f"You hear {what}.",
                    "mustRate": True,
                    "mustPlayback": "ended",
                    "stimuli": {by_id[name].id: f"{place}/{name}.wav" for name in ids},
                    "response": response,
                },
                {
                    "type": "finish",
                    "name": "Thank you",
                    "content": "Please enter your name or number, and send the answers.",
                    "showResults": False,
                    "writeResults": True,
                    "questionnaire": [
                        {"type": "text", "label": "Your name or number", "name": "rater"}
                    ],
                },
            ],
        }  # fmt: skip
        path = _write(
            folder / f"{test}-{number}.yaml", yaml.safe_dump(config, sort_keys=False, width=100)
        )
    return path


def _write(path: Path, text: str) -> Path:
    data = text.encode()
    atomic_write(path, lambda file: file.write(data))
    return path
