"""The page in a real browser: every question heard and answered, and what is saved then."""

from __future__ import annotations

import json
import shutil
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from listening_fakes import SYSTEMS, make_samples

from orality.listening import (
    analyze_listening_test,
    make_listening_test,
    rater_order,
    read_responses,
)

pytestmark = pytest.mark.browser
NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next((found for name in NAMES if (found := shutil.which(name))), None)
KINDS = ("mmos", "preference")


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A test of each kind: (folder, key)."""
    found = {}
    for kind in KINDS:
        folder = tmp_path_factory.mktemp(kind)
        samples = make_samples(folder / "samples", prompts=3)
        key = make_listening_test(
            samples, folder / "out", kind=kind, per_set=3, checks=1, seed=4, embed=kind == "mmos",
            exports=("page", "prolific", "mturk"), completion_code="C0DE42",
            audio_url="https://cdn.example/a",
        )  # fmt: skip
        found[kind] = (folder / "out", key)
    return found


@pytest.fixture
def page(browser):
    page = browser.new_page(viewport={"width": 900, "height": 800})
    page.complaints = []
    page.on("console", lambda message: page.complaints.append(message.text))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    yield page
    page.close()


def play_all(page):
    """Play every recording of a question to its end, fast."""
    for index in range(page.locator("audio").count()):
        page.evaluate(
            """index => new Promise((done, fail) => {
                const player = document.getElementById("audio-" + index);
                player.addEventListener("ended", () => done(), {once: true});
                player.playbackRate = 8;
                player.play().catch(fail);
            })""",
            index,
        )


def take(page, choose):
    """Answer all questions by `choose(number)`."""
    number = 0
    while page.locator("#trial").is_visible():
        play_all(page)
        page.locator(f"input[name=answer][value='{choose(number)}']").check(force=True)
        page.locator("#next").click()
        number += 1
    return number


def saved(page, path):
    with page.expect_download() as download:
        page.locator("#download").click()
    download.value.save_as(path)
    return path


def test_a_rater_hears_answers_and_saves(page, made, tmp_path):
    out, key = made["mmos"]
    page.goto((out / "page" / "index.html").as_uri() + "?seed=7&set=1")
    page.locator("#start").click()
    assert page.locator("#intro").is_visible()  # nobody rates without a name
    page.locator("#rater").fill("rater one")
    page.locator("#start").click()
    assert page.locator("#count").inner_text() == "1 of 4"
    assert page.locator("input[name=answer]").first.is_disabled()
    assert page.locator("#next").is_disabled()
    assert take(page, lambda number: number % 5 + 1) == 4
    path = saved(page, tmp_path / "answers.json")
    data = json.loads(path.read_text())
    assert [row["trial"] for row in data["answers"]] == rater_order(7, key.sets[1])
    assert [row["answer"] for row in data["answers"]] == [1, 2, 3, 4]
    assert (data["rater"], data["seed"], data["set"], data["test"]) == ("rater one", 7, 1, key.test)
    assert all(row["plays"] == [1, 1] for row in data["answers"])
    [session] = read_responses([path], key)
    assert [answer.value for answer in session.answers] == [1, 2, 3, 4]
    assert page.complaints == []  # the policy stopped nothing


def test_preferences_name_the_clip_whatever_its_side(page, made, tmp_path):
    out, key = made["preference"]
    page.goto((out / "page" / "index.html").as_uri() + "?seed=11&rater=r")  # recordings beside it
    page.locator("#start").click()
    assert take(page, lambda number: ("a", "b", "tie", "a")[number]) == 4
    data = json.loads(saved(page, tmp_path / "answers.json").read_text())
    shown = [row["shown"] for row in data["answers"]]
    expected = [shown[0][0], shown[1][1], "tie", shown[3][0]]
    assert [row["answer"] for row in data["answers"]] == expected
    for row in data["answers"]:
        assert sorted(row["shown"]) == sorted(key.trials[row["trial"]].clips)
    assert page.complaints == []


def test_raters_get_different_orders_and_sides(page, made):
    out, _ = made["preference"]
    plans = set()
    for seed in range(4):
        page.goto((out / "page" / "index.html").as_uri() + f"?rater=o{seed}&set=0&seed={seed}")
        page.locator("#start").click()
        place = page.locator("#audio-1").get_attribute("src")
        plans.add(place)
    assert len(plans) > 1


def test_the_answers_can_be_analyzed(page, made, tmp_path):
    """Whoever rates as a listener would: what is backwards low, the second system higher."""
    out, key = made["mmos"]
    paths = []
    for seed in (0, 1):
        order = rater_order(seed, key.sets[seed])
        wanted = [
            1 if key.trials[t].check else 4 if key.trials[t].samples[0].system == SYSTEMS[1] else 2
            for t in order
        ]
        page.goto((out / "page" / "index.html").as_uri() + f"?seed={seed}&set={seed}&rater=n{seed}")
        page.locator("#start").click()
        take(page, wanted.__getitem__)
        paths.append(saved(page, tmp_path / f"{seed}.json"))
    found = analyze_listening_test(out, paths)
    assert found.exclusions.failed_checks == {}
    assert {name: score.mean for name, score in found.scores.items()} == {
        SYSTEMS[0]: 2.0, SYSTEMS[1]: 4.0,
    }  # fmt: skip


def test_a_reload_goes_on_where_it_was(page, made):
    out, _ = made["mmos"]
    page.goto((out / "page" / "index.html").as_uri() + "?rater=reloads")
    page.locator("#start").click()
    play_all(page)
    page.keyboard.press("3")
    page.locator("#next").click()
    first = page.locator("#audio-1").get_attribute("src")
    page.reload()
    page.locator("#start").click()
    assert page.locator("#count").inner_text() == "2 of 4"
    assert page.locator("#audio-1").get_attribute("src") == first


def test_prolific_s_raters_are_known_and_get_the_code_at_the_end(page, made, tmp_path):
    out, _ = made["mmos"]
    page.goto(
        (out / "prolific" / "index.html").as_uri() + "?PROLIFIC_PID=p1&STUDY_ID=s1&SESSION_ID=x1"
    )
    assert not page.locator("#who").is_visible()
    page.locator("#start").click()
    take(page, lambda number: 3)
    assert not page.locator("#done").is_visible()
    data = json.loads(saved(page, tmp_path / "answers.json").read_text())
    assert (data["rater"], data["study"], data["session"]) == ("p1", "s1", "x1")
    assert page.locator("#code").inner_text() == "C0DE42"
    assert page.locator("#return").get_attribute("href").endswith("complete?cc=C0DE42")


@pytest.fixture
def inbox():
    """An address that takes answers, and what came."""
    came = []

    class Handler(BaseHTTPRequestHandler):
        def _reply(self):
            self.send_response(200)
            self.send_header("Access-Control-Allow-Origin", "*")
            self.send_header("Access-Control-Allow-Headers", "content-type")
            self.end_headers()

        def do_OPTIONS(self):
            self._reply()

        def do_POST(self):
            came.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self._reply()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/answers", came
    server.shutdown()


def test_answers_are_sent_where_they_should_go(page, inbox, tmp_path):
    address, came = inbox
    samples = make_samples(tmp_path / "samples", prompts=1)
    key = make_listening_test(
        samples, tmp_path / "out", checks=0, seed=5, submit_url=address, completion_code="C0DE"
    )
    page.goto((tmp_path / "out" / "page" / "index.html").as_uri() + "?rater=r")
    page.locator("#start").click()
    take(page, lambda number: 5)
    page.locator("#done").wait_for(state="visible")
    assert [data["test"] for data in came] == [key.test]
    assert not page.locator("#keep").is_visible()
    assert page.complaints == []


def test_what_cannot_be_sent_can_be_saved(page, tmp_path):
    samples = make_samples(tmp_path / "samples", prompts=1)
    make_listening_test(
        samples, tmp_path / "out", checks=0, seed=5, submit_url="http://127.0.0.1:9/answers"
    )
    page.goto((tmp_path / "out" / "page" / "index.html").as_uri() + "?rater=r")
    page.locator("#start").click()
    take(page, lambda number: 5)
    page.locator("#keep").wait_for(state="visible")
    assert "could not be sent" in page.locator("#sent").inner_text()
    assert len(json.loads(saved(page, tmp_path / "a.json").read_text())["answers"]) == 2


def test_a_hit_of_mechanical_turk_fills_its_field(page, made):
    out, key = made["mmos"]
    layout = (out / "mturk" / "hit.html").read_text().replace("${set}", "1")

    def serve(route):
        name = route.request.url.partition("?")[0]
        if name == "https://hit.example/":
            route.fulfill(body=layout, content_type="text/html")
        elif name.startswith("https://cdn.example/a/"):
            body = (out / "mturk" / "audio" / Path(name).name).read_bytes()
            route.fulfill(body=body, content_type="audio/mpeg")
        else:
            route.abort()

    page.route("**/*", serve)
    page.goto("https://hit.example/?assignmentId=ASSIGNMENT_ID_NOT_AVAILABLE&hitId=h")
    assert page.locator("#start").is_disabled()
    assert page.locator("#preview").is_visible()
    page.goto("https://hit.example/?assignmentId=a1&hitId=h1&workerId=w1")
    page.locator("#start").click()
    assert page.locator("#results").input_value() == ""
    take(page, lambda number: 2)
    data = json.loads(page.locator("#results").input_value())
    assert sorted(row["trial"] for row in data["answers"]) == sorted(key.sets[1])
    assert (data["session"], data["study"], data["set"]) == ("a1", "h1", 1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_telephone(browser, made, kind, scheme, tmp_path):
    out, _ = made[kind]
    page = browser.new_page(viewport={"width": 360, "height": 740}, color_scheme=scheme)
    page.goto((out / "page" / "index.html").as_uri() + "?rater=t")
    for _ in range(2):
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= 360
        page.screenshot(path=tmp_path / "page.png")
        assert (tmp_path / "page.png").stat().st_size > 5_000
        if page.locator("#start").is_visible():
            page.locator("#start").click()
    page.close()
