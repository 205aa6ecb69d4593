"""What a made test consists of, and what it keeps from raters."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
import soundfile
import yaml
from listening_fakes import SYSTEMS, make_run, make_samples

from orality.errors import EvaluationError
from orality.listening import make_listening_test, read_key

ALL = ("page", "mturk", "prolific", "webmushra")


@pytest.fixture(scope="module", params=["mmos", "preference"])
def made(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("test")
    samples = make_samples(folder / "samples")
    key = make_listening_test(
        samples, folder / "out", kind=request.param, per_set=4, checks=1, seed=1, exports=ALL,
        embed=False, completion_code="C0DE42", audio_url="https://cdn.example/a/",
        study_url="https://lab.example/test/index.html?lang=en",
    )  # fmt: skip
    return folder / "out", key


def test_nothing_a_rater_gets_tells_systems_prompts_or_checks(made):
    out, key = made
    public = [
        path for path in out.rglob("*") if path.is_file() and len(path.relative_to(out).parts) > 1
    ]
    secrets = {*SYSTEMS, "secret", "backwards", 'check"', str(out.parent)}
    secrets |= {trial.prompt for trial in key.trials.values()}
    for path in public:
        text = path.read_bytes().decode("latin-1") + str(path.relative_to(out))
        assert [word for word in secrets if word in text] == [], path
    assert read_key(out) == key
    assert "keep it" in (out / "KEEP-THE-KEY.txt").read_text()


def test_recordings_have_random_names_and_no_metadata(made):
    out, key = made
    for folder in (out / "page" / "audio", out / "mturk" / "audio"):
        names = {path.stem for path in folder.iterdir()}
        assert {name for trial in key.trials.values() for name in trial.clips} <= names
        assert all(re.fullmatch("[0-9a-f]{8}", name) for name in names)
    with soundfile.SoundFile(next((out / "page" / "audio").iterdir())) as file:
        assert (file.format, file.samplerate, file.channels) == ("MP3", 16_000, 1)
        assert file.copy_metadata() == {}


def test_a_check_is_its_sample_played_backwards(made, tmp_path):
    out, key = made
    trial = next(trial for trial in key.trials.values() if trial.check)
    played, _ = soundfile.read(out / "page" / "audio" / f"{trial.backwards}.mp3")
    middle = played[len(played) // 4 : -len(played) // 4]
    # glides rise in pitch, and fall backwards: count zero crossings in both halves
    halves = [np.sum(np.diff(np.signbit(half))) for half in np.array_split(middle, 2)]
    assert halves[0] > halves[1]


def test_the_page_allows_only_itself(made):
    out, _ = made
    html = (out / "page" / "index.html").read_text()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html).group(1)
    parts = dict(item.strip().split(" ", 1) for item in policy.split(";"))
    assert parts["default-src"] == "'none'"
    assert parts["connect-src"] == parts["form-action"] == parts["base-uri"] == "'none'"
    for kind in ("style", "script"):
        text = re.findall(rf"<{kind}>(.*?)</{kind}>", html, re.S)
        digests = [base64.b64encode(hashlib.sha256(t.encode()).digest()).decode() for t in text]
        assert parts[f"{kind}-src"] == " ".join(f"'sha256-{d}'" for d in digests)
    assert "unsafe" not in policy
    assert " style=" not in html
    assert not re.search(r"\son\w+=", html)
    assert set(re.findall(r"https?://[^\s\"'<]+", html)) <= {
        "https://app.prolific.com/submissions/complete?cc="
    }


def test_the_hit_has_one_variable_and_fits(made):
    out, key = made
    html = (out / "mturk" / "hit.html").read_text()
    assert re.findall(r"\$\{(\w+)\}", html) == ["set"]
    assert len(html.encode()) < 65_535
    assert '<input type="hidden" name="results"' in html
    assert "https://cdn.example/a/" in html
    rows = list(csv.DictReader(io.StringIO((out / "mturk" / "input.csv").read_text())))
    assert [row["set"] for row in rows] == [str(i) for i in range(len(key.sets))]


def test_the_study_passes_on_who_takes_part(made):
    out, key = made
    study = json.loads((out / "prolific" / "study.json").read_text())
    query = parse_qs(urlsplit(study["external_study_url"]).query)
    assert query == {
        "lang": ["en"], "PROLIFIC_PID": ["{{%PROLIFIC_PID%}}"], "STUDY_ID": ["{{%STUDY_ID%}}"],
        "SESSION_ID": ["{{%SESSION_ID%}}"],
    }  # fmt: skip
    assert study["completion_codes"][0]["code"] == "C0DE42"
    assert study["total_available_places"] == 10 * len(key.sets)
    assert "C0DE42" in (out / "prolific" / "index.html").read_text()


def test_webmushra_gets_a_configuration_a_set(made):
    out, key = made
    for number, ids in enumerate(key.sets):
        config = yaml.safe_load((out / "webmushra" / f"{key.test}-{number}.yaml").read_text())
        assert config["testId"] == f"{key.test}-{number}"
        introduction, trials, finish = config["pages"]
        assert introduction["type"] == "generic"
        assert trials["type"] == "likert_single_stimulus"
        assert sorted(trials["stimuli"]) == sorted(ids)
        values = [choice["value"] for choice in trials["response"]]
        assert values == ([1, 2, 3, 4, 5] if key.kind == "mmos" else ["a", "tie", "b"])
        assert finish["questionnaire"] == [
            {"type": "text", "label": "Your name or number", "name": "rater"}
        ]
        for place in trials["stimuli"].values():
            sound = soundfile.info(out / "webmushra" / "stimuli" / Path(place).name)
            parts = 2 if key.kind == "mmos" else 3
            assert sound.duration == pytest.approx(0.3 * parts + 0.6 * (parts - 1), abs=0.01)
            assert sound.subtype == "PCM_16"


def test_recordings_can_be_inside_the_page(tmp_path):
    samples = make_samples(tmp_path / "samples", prompts=1)
    make_listening_test(samples, tmp_path / "out", seed=2, submit_url="https://lab.example/in?x=1")
    assert [path.name for path in (tmp_path / "out" / "page").iterdir()] == ["index.html"]
    html = (tmp_path / "out" / "page" / "index.html").read_text()
    assert html.count("data:audio/mpeg;base64,") == 4  # a prompt, two continuations, a check
    assert "media-src data:;" in html
    assert "connect-src https://lab.example;" in html


def test_a_run_becomes_a_test_with_its_judge(tmp_path):
    key = make_listening_test(make_run(tmp_path / "run"), tmp_path / "out", prompts=2, seed=3)
    real = [trial for trial in key.trials.values() if not trial.check]
    assert len(real) == 4
    assert key.systems == SYSTEMS
    assert key.judge == "judge/j/asr"
    assert {s.score for trial in real for s in trial.samples} == {2.0, 3.0}


def test_chance_decides_where_no_seed_does(tmp_path):
    samples = make_samples(tmp_path / "samples", prompts=2)
    one, other = (make_listening_test(samples, tmp_path / name) for name in "ab")
    assert one.seed != other.seed
    assert set(one.trials).isdisjoint(other.trials)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "mushra"}, "is mmos or preference"),
        ({"exports": ("paper",)}, "got"),
        ({"exports": ("mturk",)}, "https address"),
        ({"exports": ("prolific",)}, "completion code"),
        ({"submit_url": "ftp://x"}, "https address"),
        ({"submit_url": "https://x;script-src *"}, "https address"),
        ({"submit_url": 'https://x">'}, "https address"),
        ({"per_set": 0}, "at least one trial"),
        ({"prompts": 0}, "nothing to hear"),
    ],
)
def test_what_cannot_be_made_is_said_and_no_key_is_left(tmp_path, options, message):
    samples = make_samples(tmp_path / "samples", prompts=1)
    with pytest.raises(EvaluationError, match=message):
        make_listening_test(samples, tmp_path / "out", **options)
    assert not (tmp_path / "out" / "key.json").exists()


def test_a_second_test_does_not_replace_the_first(tmp_path):
    samples = make_samples(tmp_path / "samples", prompts=1)
    make_listening_test(samples, tmp_path / "out")
    with pytest.raises(EvaluationError, match="already holds"):
        make_listening_test(samples, tmp_path / "out")


def test_a_damaged_key_is_named(tmp_path):
    (tmp_path / "key.json").write_text('{"test": 1}')
    with pytest.raises(EvaluationError, match=r"key\.json"):
        read_key(tmp_path)


def test_importing_it_imports_no_torch():
    import subprocess
    import sys

    code = "import orality.listening, sys; raise SystemExit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
