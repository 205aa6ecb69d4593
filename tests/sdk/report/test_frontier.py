"""Score against diversity across temperatures, on the page and for print."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from orality.evaluation.frontier.results import (
    Frontier,
    FrontierGain,
    FrontierPoint,
    PointValue,
    TemperatureComparison,
)
from orality.evaluation.results import read_results, write_results
from orality.evaluation.statistics.intervals import Interval
from orality.report.data.run_data import read_run
from orality.report.figures.axes import HEIGHT, LEFT, RIGHT, TOP, WIDTH
from orality.report.figures.labels import along, placed
from orality.report.page import write_page
from orality.report.paper.frontier import write_frontier
from orality.report.sections.frontier import frontier_figure, frontier_view

JUDGE, BLEU = "judge/likelihood/moonshine", "auto-bleu/align-slm/moonshine"


def point(system: str, temperature: float, score: float, repeats: float) -> FrontierPoint:
    def value(found: float, half: float) -> PointValue:
        return PointValue(found, Interval("b", 0.95, found - half, found + half), 60)

    return FrontierPoint(
        system, temperature, {JUDGE: value(score, 0.1), BLEU: value(repeats, 0.01)}
    )


CI = Interval("paired-cluster-bootstrap", 0.95, 0.05, 0.3)
FRONTIER = Frontier(
    "pre-trained",
    0.8,
    [
        point("pre-trained", 0.8, 3.5, 0.087), point("pre-trained", 0.6, 3.6, 0.098),
        point("pre-trained", 1.0, 3.3, 0.067), point("aligned <b>", 0.8, 3.7, 0.08),
    ],
    [FrontierGain("aligned <b>", 0.8, JUDGE, BLEU, 0.08, 3.43, 0.27, CI, 0.002, 0.002, "", 60)],
    [TemperatureComparison("aligned <b>", 0.8, JUDGE, 0.6, True, 0.1, CI, 0.03, 0.06, 60)],
)  # fmt: skip


def nodes(drawing: str) -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(str(drawing)).iter())


def test_the_baseline_is_a_line_over_its_temperatures_and_the_others_are_points() -> None:
    drawn = frontier_figure(FRONTIER, JUDGE, BLEU)
    found = nodes(drawn.drawing)
    curves = [node.get("d") for node in found if node.get("class") == "curve plain"]
    numbers = [tuple(map(float, pair)) for pair in re.findall(r"([\d.]+) ([\d.]+)", curves[0])]
    # coldest first: to the left as auto-BLEU falls, and down as the score does
    assert len(numbers) == 3
    assert numbers == sorted(numbers, key=lambda place: (-place[0], place[1]))
    dots = [node for node in found if node.tag == "circle"]
    assert [dot.get("class") for dot in dots] == ["dot plain"] * 3 + ["dot chosen"]
    assert len([node for node in found if node.get("class") == "whisker chosen"]) == 1
    texts = [node.text for node in found if node.get("class") == "mark"]
    assert texts == ["T 0.6", "T 0.8", "T 1", "1"]
    assert drawn.note == "Line: pre-trained at each temperature (T); 1: aligned <b>."
    assert drawn.head == ["system", "T", "Auto-BLEU, %", "Judge score", "low", "high"]
    assert drawn.rows[-1] == ["aligned <b>", "0.8", "8.0", "3.70", "3.60", "3.80"]


def test_a_system_that_is_swept_has_a_line_and_its_temperatures() -> None:
    more = replace(FRONTIER, points=[*FRONTIER.points, point("aligned <b>", 1.0, 3.5, 0.06)])
    found = nodes(frontier_figure(more, JUDGE, BLEU).drawing)
    assert len([node for node in found if node.get("class") == "curve train"]) == 1
    texts = [node.text for node in found if node.get("class") == "mark"]
    assert texts[-2:] == ["1, T 0.8", "1, T 1"]


def test_labels_hide_neither_points_nor_each_other() -> None:
    frame = (LEFT, TOP, WIDTH - RIGHT, HEIGHT - 36)
    # two points on top of each other's right side, one at the right edge
    points = [(100.0, 90.0, "T 0.6"), (112.0, 92.0, "1"), (WIDTH - RIGHT - 2.0, 50.0, "T 1.3")]
    labels = placed(points, frame, along([(100, 90), (50, 90)]))
    assert [label.text for label in labels] == ["T 0.6", "1", "T 1.3"]
    boxes = []
    for label in labels:
        width = 6 * len(label.text)
        left = label.x - {"start": 0, "middle": width / 2, "end": width}[label.anchor]
        boxes.append((left, label.y - 9, left + width, label.y + 2))
    assert boxes[2][2] <= WIDTH - RIGHT
    dots = [(x - 4, y - 4, x + 4, y + 4) for x, y, _ in points]
    pairs = [(boxes[0], boxes[1]), *((box, dot) for box in boxes for dot in dots)]
    for a, b in pairs:
        apart = a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
        assert apart, (a, b)


def test_the_page_shows_figures_findings_and_both_tables(run: Path) -> None:
    results = read_results(run / "results.json")
    write_results(run / "results.json", replace(results, frontier=FRONTIER))
    html = write_page(read_run(run), None, max_prompts=1).read_text()
    assert "<h3>Across temperatures</h3>" in html
    assert "Judge score ↑ against Auto-BLEU ↓" in html
    finding = (
        "is above the curve of pre-trained in Judge score at equal Auto-BLEU (+0.27, p = 0.002)"
    )
    assert f"aligned &lt;b&gt;, T 0.8 {finding}." in html
    assert "<b>, T" not in html
    for text in (
        "against pre-trained, T 0.6, its best",
        "<td>+0.27*</td>",
        "<td>+0.05 to +0.30</td>",
    ):
        assert text in html


def test_a_page_without_a_gain_says_so_and_one_without_temperatures_says_nothing(run: Path) -> None:
    before = write_page(read_run(run), None, max_prompts=1).read_text()
    assert "Across temperatures" not in before
    weak = replace(FRONTIER, gains=[replace(FRONTIER.gains[0], p_holm=0.2)])
    results = read_results(run / "results.json")
    write_results(run / "results.json", replace(results, frontier=weak))
    html = write_page(read_run(run), None, max_prompts=1).read_text()
    assert "No system differs from the curve of pre-trained" in html


def test_a_gain_beyond_the_curve_says_so() -> None:
    beyond = replace(FRONTIER, gains=[replace(FRONTIER.gains[0], outside="above")])
    view = frontier_view(beyond)
    assert "more than at any of its temperatures" in view.findings[0]
    assert view.gains.blocks[0][1][0][1] == "Auto-BLEU 8.0 >"


def test_a_frontier_without_a_score_has_no_figure() -> None:
    silent = replace(FRONTIER, gains=[], comparisons=[])
    assert frontier_view(silent).figures == []


def test_the_figure_for_print_has_its_data(tmp_path: Path) -> None:
    paths = write_frontier(tmp_path, "frontier", FRONTIER)
    assert [path.suffix for path in paths] == [".svg", ".pdf", ".png", ".csv"]
    with paths[-1].open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8
    last = rows[-2]
    assert (last["system"], last["temperature"], last["metric"]) == ("aligned <b>", "0.8", JUDGE)
    assert float(last["value"]) == 3.7
    assert float(last["low"]) == pytest.approx(3.6)
