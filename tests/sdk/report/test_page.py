from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import soundfile

from orality.errors import EvaluationError, StoreError
from orality.report import write_report
from orality.report.data.run_data import read_run
from orality.report.page import render, write_page

EVIL = '<img src=x onerror="alert(1)"></script><script>alert(2)</script>'
VOID = {"meta", "input", "br", "img", "link", "hr"}


class Page(HTMLParser):
    """The page's elements, with the text inside scripts and styles; checks that tags close."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.inside: dict[str, list[str]] = {"script": [], "style": []}
        self.open: list[str] = []
        self.words = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in self.inside:
            self.inside[self.open[-1]].append(data)
        else:
            self.words += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def page_of(run: Path, *, max_prompts: int = 1) -> Page:
    return Page(html_of(run, max_prompts=max_prompts))


def preferences(page: Page) -> str:
    """The words of the section in which each round's continuations can be heard."""
    return page.words.split("Listen: what was chosen and rejected")[1]


def html_of(run: Path, *, max_prompts: int = 1) -> str:
    """The page alone; its tables and figures take longer and have tests of their own."""
    path = write_page(read_run(run), None, max_prompts=max_prompts)
    assert path == run / "report.html"
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def html(finished: Path) -> str:
    return (finished / "report.html").read_text(encoding="utf-8")


@pytest.fixture
def page(html: str) -> Page:
    return Page(html)


def test_a_finished_run_gives_one_page_with_every_section(page: Page) -> None:
    assert page.open == []
    ids = {attributes.get("id") for attributes in page.all("section")}
    assert ids == {
        "results", "yields", "round-1", "round-2", "systems", "preferences", "provenance",
    }  # fmt: skip
    assert "orality align tiny" in page.words
    assert "Chosen: score at least 4 and auto-BLEU at most 0.1" in page.words


def test_the_weights_of_every_component_are_named_by_their_sha256(page: Page) -> None:
    table = page.words.split("Weights")[1].split("Versions")[0]
    shown = ["slm", "tiny/model.safetensors", "8.1", "ab" * 32, "when built", "judge", "no file"]
    places = [table.index(text) for text in shown]
    assert places == sorted(places)


def test_a_run_that_has_built_nothing_yet_names_no_weights(run: Path) -> None:
    manifest = json.loads((run / "manifest.json").read_text())
    del manifest["weights"]
    (run / "manifest.json").write_text(json.dumps(manifest))
    assert "Weights" not in page_of(run).words


def test_every_id_is_unique_and_every_link_leads_somewhere(page: Page) -> None:
    ids = [found["id"] for _, found in page.elements if found.get("id")]
    assert len(ids) == len(set(ids))
    for link in page.all("a"):
        assert link["href"].removeprefix("#") in ids
    for name, found in page.elements:
        assert name == "svg" or found.get("aria-labelledby") in {None, *ids}


def test_a_transcript_with_markup_stays_text(page: Page) -> None:
    assert EVIL in page.words
    assert page.all("img") == []
    assert len(page.all("script")) == 1
    assert not any(name.startswith("on") for _, found in page.elements for name in found)


def test_markup_in_ids_recipes_and_results_stays_text(run: Path) -> None:
    data = json.loads((run / "results.json").read_text())
    data["systems"].append({"name": EVIL, "description": EVIL, "adapter": None})
    data["results"].append({**data["results"][0], "system": EVIL})
    (run / "results.json").write_text(json.dumps(data))
    (run / "recipe.yaml").write_text(json.dumps({"name": EVIL, "description": EVIL}))
    page = page_of(run)
    assert page.all("img") == []
    assert len(page.all("script")) == 1
    assert page.words.count(EVIL) >= 4


def test_only_the_page_s_own_style_and_script_may_run(page: Page) -> None:
    policy = next(
        found["content"] for found in page.all("meta")
        if found.get("http-equiv") == "Content-Security-Policy"
    )  # fmt: skip
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for kind in ("script", "style"):
        digest = hashlib.sha256("".join(page.inside[kind]).encode()).digest()
        assert f"{kind}-src 'sha256-{base64.b64encode(digest).decode()}'" in policy
    assert not any("style" in found for _, found in page.elements)


def test_nothing_is_loaded_from_elsewhere(page: Page) -> None:
    for _, found in page.elements:
        for name in ("src", "href", "action", "srcset", "data"):
            value = found.get(name) or "#"
            assert value.startswith(("#", "data:audio/ogg;base64,"))
    assert "url(" not in page.inside["style"][0]
    assert "@import" not in page.inside["style"][0]
    assert not re.search(r"https?://|fetch\(|XMLHttp|eval\(|innerHTML", page.inside["script"][0])


def test_embedded_speech_is_vorbis_as_long_as_the_recording(page: Page) -> None:
    sources = [found["src"] for found in page.all("audio")]
    listed = 4 + 1 + 2 * 4 * 3 + 3  # prompts, two rounds, three systems
    assert len(sources) == listed + 2 * 4 * 2  # the two best and worst of a round, with prompts
    data = base64.b64decode(sources[0].split(",")[1])
    with soundfile.SoundFile(io.BytesIO(data)) as file:
        assert (file.format, file.subtype, file.channels) == ("OGG", "VORBIS", 1)
        assert file.frames / file.samplerate == pytest.approx(0.6, abs=0.05)
    assert len(data) < 8_000  # about 31 kbit/s and a head of 4 kB


def test_chosen_and_rejected_are_marked_as_the_pairs_say(page: Page) -> None:
    groups = {"round-1", "round-2", "pre-trained", "aligned round 1", "aligned round 2"}
    marks = [f["data-mark"] for f in page.all("li") if f.get("data-group") in groups]
    assert marks.count("chosen") == marks.count("rejected") == 8
    assert marks.count("none") == 8 + 3


def test_only_what_a_paired_test_supports_is_bold(html: str) -> None:
    assert re.findall(r"<strong>(.*?)</strong>", html) == ["3.02"]
    assert "aligned round 2 is better than pre-trained in Judge score (+0.61, p = 0.004)" in html
    assert "aligned round 1 is better" not in html


def test_without_a_significant_difference_the_page_says_so(run: Path) -> None:
    data = json.loads((run / "results.json").read_text())
    for test in data["comparisons"]:
        test["p_value"] = test["p_holm"] = 0.2
    (run / "results.json").write_text(json.dumps(data))
    html = html_of(run, max_prompts=0)
    assert "<strong>" not in html
    assert "No system differs from pre-trained" in html


def test_fewer_prompts_than_there_are_are_counted_on_the_page(run: Path) -> None:
    page = page_of(run, max_prompts=2)
    assert "2 of 4 prompts" in page.words
    assert len(page.all("article")) == 2 + 1
    assert "All 1 prompt." in page.words


def test_a_size_limit_leaves_out_whole_prompts_and_says_how_many(run: Path) -> None:
    html = render(read_run(run), None, max_prompts=40, audio_bytes=120_000)
    page = Page(html)
    shown = len(page.all("article")) - 1
    assert 0 < shown < 4
    assert f"{4 - shown} more would have made this file too large" in page.words
    assert sum(len(found["src"]) for found in page.all("audio")) <= 120_000


def test_a_run_that_has_only_begun_gets_a_page(run: Path) -> None:
    for name in ("evaluation", "round-2", "round-1/pairs", "round-1/train", "round-1/verdicts"):
        shutil.rmtree(run / name)
    (run / "results.json").unlink()
    page = page_of(run)
    assert "has not been evaluated yet" in page.words
    assert "Not finished: 12 continuations, 12 speech, 12 transcripts, 0 verdicts" in page.words
    assert "Not started." in page.words


def test_a_run_before_its_first_prompt_gets_a_page(run: Path) -> None:
    for folder in [path for path in run.iterdir() if path.is_dir()]:
        shutil.rmtree(folder)
    (run / "results.json").unlink()
    page = page_of(run)
    assert page.words.count("Not started.") == 2
    assert "Over the rounds" not in page.words


def test_a_judge_that_abstains_and_speech_without_text_are_shown_as_such(run: Path) -> None:
    for stage, column in (("verdicts", "score"), ("transcripts", "text")):
        path = run / "round-1" / stage / "shard-00000.parquet"
        table = pq.read_table(path)
        rows = table.to_pylist()
        rows[0][column] = None
        pq.write_table(table.from_pylist(rows, schema=table.schema), path)
    page = page_of(run)
    assert "11 verdicts; 1 without a score" in page.words
    assert "not transcribed" in page.words


def test_missing_audio_leaves_the_text(run: Path) -> None:
    shutil.rmtree(run / "round-1" / "audio")
    page = page_of(run)
    assert preferences(page).count("no audio") == 3


def test_audio_outside_the_run_is_not_embedded(run: Path, tmp_path: Path) -> None:
    shutil.copy(run / "prompts" / "audio" / "story-000.flac", tmp_path / "secret.flac")
    path = run / "prompts" / "shard-00000.parquet"
    table = pq.read_table(path)
    rows = table.to_pylist()
    rows[0]["prompt_audio"] = "../secret.flac"
    rows[1]["prompt_audio"] = str(tmp_path / "secret.flac")
    pq.write_table(table.from_pylist(rows, schema=table.schema), path)
    assert preferences(page_of(run, max_prompts=4)).count("no audio") == 2


def test_a_folder_without_a_run_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"holds no run \(no manifest.json\)"):
        write_report(tmp_path)


def test_a_damaged_shard_is_named(run: Path) -> None:
    path = run / "round-1" / "verdicts" / "shard-00000.parquet"
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(StoreError, match="verdicts/shard-00000.parquet is damaged"):
        write_report(run)


def test_damaged_results_are_named(run: Path) -> None:
    (run / "results.json").write_text("{")
    with pytest.raises(EvaluationError, match=r"results.json cannot be read"):
        write_report(run)


def test_writing_twice_gives_the_same_page_but_for_the_serial_numbers_of_ogg(run: Path) -> None:
    pages = [html_of(run) for _ in range(2)]
    first, second = (re.sub(r"base64,[^\"]+", "base64,", page) for page in pages)
    assert first == second
    assert len(pages[0]) == len(pages[1])


def test_importing_the_report_is_light() -> None:
    code = (
        "import orality.report, sys; "
        "heavy = {'torch', 'jinja2', 'pyarrow', 'soundfile', 'matplotlib'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
