"""The page raters see: one HTML file with style, script and data, and nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

import jinja2
from markupsafe import Markup

from orality.errors import EvaluationError
from orality.listening.design import Design, Kind

SCALE = ((5, "Excellent"), (4, "Good"), (3, "Fair"), (2, "Poor"), (1, "Bad"))
SCALE_NAME = "meaningfulness, 1 (bad) to 5 (excellent)"
_PREFERENCES = (("a", "A is better"), ("tie", "No difference"), ("b", "B is better"))


@dataclass(frozen=True, slots=True)
class Texts:
    """What the page says. The question's wording is part of the metric: change both or neither."""

    title: str
    introduction: Sequence[str]
    question: str
    rules: Sequence[str]


_RULES = (
    "Use headphones, in a quiet place. Play a recording as often as you need.",
    "A continuation may stop in the middle of a sentence. That does not make it worse.",
    "Some questions only check that you listen. Answers without listening are not accepted.",
    "Please take part only if you understand the language well.",
)
_WHAT = (
    "You will hear the beginning of something that is said, the prompt, and then how it goes on, "
    "the continuation. Continuations were made by computers, or taken from recordings."
)
TEXTS: Mapping[Kind, Texts] = {
    "mmos": Texts(
        "How well does it go on?",
        (
            _WHAT,
            "Judge what is said: is the continuation relevant to the prompt, coherent, meaningful "
            "and grammatical? How it sounds does not count: neither noise, nor voice, nor melody.",
        ),
        "How relevant, coherent, meaningful and grammatical is the continuation of this prompt?",
        _RULES,
    ),
    "preference": Texts(
        "Which goes on better?",
        (
            f"{_WHAT} Each prompt comes with two of them.",
            "Judge what is said: which one is more relevant to the prompt, more coherent, more "
            "meaningful and more grammatical? How they sound does not count.",
        ),
        "Which continuation makes more sense after the prompt?",
        _RULES,
    ),
}


def render_page(
    design: Design,
    test: str,
    *,
    embedded: Mapping[str, str] | None = None,
    base: str = "audio/",
    completion_code: str | None = None,
    submit_url: str | None = None,
    texts: Texts | None = None,
) -> str:
    """The page as HTML; recordings are `embedded` data URIs, or lie at `base`NAME.mp3.

    Answers are sent to `submit_url` where there is one, and can be saved as a file otherwise. The
    policy of the page allows its own style and script, its sounds, and sending there; no more.
    """
    address = urlsplit(submit_url or "")
    # The host becomes part of the page's policy, so nothing else may be in it.
    if submit_url is not None and not (
        address.scheme in {"https", "http"} and re.fullmatch(r"[\w.-]+(:\d+)?", address.netloc)
    ):
        raise EvaluationError(f"answers are sent to an https address, not to {submit_url!r}")
    data = _public(design, test, "page", base=base)
    data |= {"code": completion_code or "", "submit": submit_url or "", "embedded": embedded}
    style, script = asset("test.css"), asset("test.js")
    sounds = "data:" if embedded is not None else "'self' file:"
    send = f"{address.scheme}://{address.netloc}" if submit_url else "'none'"
    policy = (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        f"media-src {sounds}; connect-src {send}; base-uri 'none'; form-action 'none'"
    )
    return _fill("test.html.j2", design, data, policy, texts)


def render_hit(design: Design, test: str, *, base: str, texts: Texts | None = None) -> str:
    """The same as the source of a Mechanical Turk layout, where `${set}` is the only variable."""
    html = _fill("hit.html.j2", design, _public(design, test, "mturk", base=base), "", texts)
    if re.findall(r"\$\{[^}]*\}", html) != ["${set}"]:
        raise EvaluationError("a text or an address holds ${...}, which Mechanical Turk would fill")
    return html


def asset(name: str) -> str:
    """A file of the page as it is shipped."""
    return (files("orality.listening") / "templates" / name).read_text(encoding="utf-8")


def _public(design: Design, test: str, platform: str, *, base: str) -> dict[str, Any]:
    """What the page may know: names of trials and clips. No systems, prompts, scores, or checks."""
    return {
        "test": test,
        "kind": design.kind,
        "platform": platform,
        "base": base,
        "sets": [list(ids) for ids in design.sets],
        "trials": {trial.id: list(trial.clips) for trial in design.trials},
    }


def _fill(
    name: str, design: Design, data: Mapping[str, Any], policy: str, texts: Texts | None
) -> str:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("orality.listening"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    mmos = design.kind == "mmos"
    # "<" could end the script element that holds the data.
    plain = json.dumps(data, ensure_ascii=True, separators=(",", ":")).replace("<", "\\u003c")
    return environment.get_template(name).render(
        policy=Markup(policy),
        style=Markup(asset("test.css")),
        script=Markup(asset("test.js")),
        data=Markup(plain),
        kind=design.kind,
        platform=data["platform"],
        texts=texts or TEXTS[design.kind],
        scale=SCALE if mmos else (),
        choices=tuple(reversed(SCALE)) if mmos else _PREFERENCES,
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
