"""The page in a real browser: it plays, filters, stays inside itself, and fits its window."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pyarrow.parquet as pq
import pytest

from orality.report.data.run_data import read_run
from orality.report.everything import compared as gap_of
from orality.report.page import write_page

playwright = pytest.importorskip(
    "playwright.sync_api", reason="needs playwright to drive a browser"
)
pytestmark = pytest.mark.browser

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
EVIL = '<img src=x onerror="alert(1)"></script><script>alert(2)</script>'
VISIBLE = ".take:visible"
AGREED = "story-004"  # a held-out prompt on which all systems say the same


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"no browser found: none of {', '.join(BROWSERS)} is installed")
    # a browser run by root has no sandbox to use
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=found, args=options)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def address(compared: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A page of twelve held-out prompts; on one of them the systems say the same."""
    run = shutil.copytree(compared, tmp_path_factory.mktemp("browser") / "run")
    for number, folder in enumerate(sorted(run.glob("evaluation/*/samples"))):
        path = folder / "shard-00000.parquet"
        table = pq.read_table(path)
        rows = table.to_pylist()
        for row in rows:
            if row["prompt_id"] == AGREED:
                row["text"] = ("The end.", "the END", "the end")[number]
            if row["prompt_id"] == "story-005":
                row["text"] = f"the end {number} {EVIL}"
        pq.write_table(table.from_pylist(rows, schema=table.schema), path)
    data = read_run(run)
    return write_page(data, gap_of(data), max_prompts=40).as_uri()


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    """The page, opened; fails if it asked for anything, reported an error, or ran a stranger."""
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    opened = context.new_page()
    asked: list[str] = []
    wrong: list[str] = []
    opened.on("request", lambda request: asked.append(request.url))
    opened.on("console", lambda message: wrong.append(message.text))
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
    opened.goto(address)
    yield opened
    assert wrong == []
    assert [url for url in asked if not url.startswith("data:audio/")] == [address]
    context.close()


def counted(page: Any) -> str:
    return page.locator("#systems .count").inner_text()


def control(page: Any, name: str) -> Any:
    return page.locator(f"#systems [name={name}]")


def shown(page: Any) -> list[str]:
    """Ids of the prompts that can be seen, in their order."""
    return page.locator("#systems article:visible h3").all_inner_texts()


def until(page: Any, condition: str) -> None:
    """Wait for a condition; asked from outside, as the page's policy allows no eval within."""
    for _ in range(200):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"never came true: {condition}")


def test_a_recording_plays_to_its_end_and_only_one_at_a_time(page: Any) -> None:
    first, second = (page.locator("#systems .list .player").nth(number) for number in (0, 1))
    first.get_by_role("button").click()
    until(page, "document.querySelector('#systems .list audio').currentTime > 0.02")
    assert "playing" in first.get_attribute("class")
    assert first.get_by_role("button").get_attribute("aria-label").startswith("Stop")
    second.get_by_role("button").click()
    assert "playing" not in first.get_attribute("class")
    until(page, "document.querySelectorAll('#systems .list audio')[1].ended")
    until(page, "!document.querySelector('.playing')")
    seconds = page.evaluate("document.querySelectorAll('#systems .list audio')[1].duration")
    assert seconds == pytest.approx(1.0, abs=0.05)


def test_the_keyboard_alone_plays_and_stops(page: Any) -> None:
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the report"
    button = page.locator("#systems .list .player button").first
    button.focus()
    page.keyboard.press("Enter")
    until(page, "document.querySelector('.player.playing') !== null")
    page.keyboard.press("Escape")
    assert page.locator(".player.playing").count() == 0
    page.keyboard.press("Tab")
    focused = "document.activeElement.closest('.player button') !== null"
    assert page.evaluate(focused)


def test_systems_are_filtered_by_name_and_score(page: Any) -> None:
    assert counted(page) == "36 continuations of 12 prompts"
    # the systems' scores are 2, 3 and 4
    control(page, "low").fill("2.5")
    assert counted(page) == "24 continuations of 12 prompts"
    control(page, "high").fill("3.5")
    assert counted(page) == "12 continuations of 12 prompts"
    page.get_by_role("checkbox", name="aligned round 1").uncheck()
    assert counted(page) == "Nothing fits; reset the filters to see everything."
    page.locator("#systems").get_by_role("button", name="Reset").click()
    until(page, "document.querySelector('#systems .count').textContent.startsWith('36 ')")


def test_systems_are_filtered_by_repetition_and_words(page: Any) -> None:
    control(page, "bleu-low").fill("0.05")  # every continuation has 0.04
    assert shown(page) == []
    control(page, "bleu-low").fill("0.04")
    assert len(shown(page)) == 12
    control(page, "words").fill("THE END")
    assert shown(page) == [AGREED, "story-005"]


def test_only_differences_are_shown_when_asked_for(page: Any) -> None:
    control(page, "differ").check()
    assert len(shown(page)) == 11
    assert AGREED not in shown(page)
    for name in ("aligned round 1", "aligned round 2"):
        page.get_by_role("checkbox", name=name).uncheck()
    assert shown(page) == []  # one system alone differs from nobody


def test_rounds_are_filtered_by_mark_and_sorted(page: Any) -> None:
    section = page.locator("#preferences")
    section.locator("[name=mark]").select_option("pair")
    assert section.locator(".count").inner_text() == "16 continuations of 4 prompts"
    section.get_by_role("checkbox", name="Round 1").uncheck()
    section.locator("[name=mark]").select_option("")
    section.locator("[name=sort]").select_option("worst")
    lowest = [
        min(
            float(take.get_attribute("data-score"))
            for take in article.locator(".take:visible").all()
        )
        for article in section.locator("article").all()
    ]
    assert lowest == sorted(lowest)


def test_blind_listening_hides_names_and_scores_and_rests_what_would_tell(page: Any) -> None:
    names = page.locator("#systems article .who b")
    assert names.first.is_visible()
    control(page, "low").fill("2.5")
    control(page, "blind").check()
    assert not any(name.is_visible() for name in names.all())
    assert not page.locator("#systems article .meta").first.is_visible()
    assert control(page, "low").is_disabled()
    assert counted(page) == "36 continuations of 12 prompts"
    control(page, "blind").uncheck()
    assert counted(page) == "24 continuations of 12 prompts"


def test_markup_in_a_transcript_is_read_and_not_run(page: Any) -> None:
    said = page.locator("#systems .list .said", has_text="<img src=x").first
    assert EVIL in said.inner_text()
    assert page.evaluate("document.images.length") == 0
    assert page.evaluate("document.scripts.length") == 1


def test_a_strange_script_is_refused_by_the_page_s_policy(browser: Any, address: str) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(address)
    ran = page.evaluate("""() => {
        const one = document.createElement("script");
        one.textContent = "window.strange = 1";
        document.body.append(one);
        const two = document.createElement("div");
        two.innerHTML = '<img src="x" onerror="window.strange = 2"><p style="color: red">';
        document.body.append(two);
        return new Promise((done) => setTimeout(() => done(
            [window.strange ?? null, getComputedStyle(two.querySelector("p")).color]), 100));
    }""")
    assert ran[0] is None
    assert ran[1] != "rgb(255, 0, 0)"
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_the_page_fits_its_window_in_light_and_dark(
    browser: Any, address: str, tmp_path: Path, scheme: Any, width: int
) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, reduced_motion="reduce"
    )
    page = context.new_page()
    page.goto(address)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    for section in ("results", "yields", "golden", "systems"):
        page.locator(f"#{section}").scroll_into_view_if_needed()
        page.evaluate(f"document.getElementById('{section}').scrollIntoView()")
        picture = tmp_path / f"{section}.png"
        page.screenshot(path=picture)
        image = mpl.image.imread(picture)[..., :3].mean(axis=2)
        assert (np.median(image) > 0.9) == (scheme == "light")
        ink = np.abs(image - np.median(image)) > 0.35
        assert 0.002 < ink.mean() < 0.4
    context.close()
