from __future__ import annotations

import csv
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

from orality.report.data.run_data import read_run
from orality.report.figures.curriculum_tracks import (
    curriculum_systems,
    feedback_tracks,
    measured_tracks,
)
from orality.report.figures.distributions import Histograms, Panel, repetition, round_scores
from orality.report.figures.draw import Line, bins
from orality.report.paper import style
from orality.report.paper.clouds import write_clouds
from orality.report.paper.histograms import write_histograms
from orality.report.paper.table import Table, csv_text
from orality.report.speech_gap.golden_gap import golden_gap
from orality.report.speech_gap.representations import read_representations

FIGURES = ("auto-bleu", "curriculum", "scores", "scores-held-out", "systems", "training")


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_figure_has_three_formats_and_its_data(finished: Path) -> None:
    written = {path.name for path in (finished / "figures").iterdir()}
    expected = {f"{name}.{kind}" for name in FIGURES for kind in (*style.FORMATS, "csv")}
    assert written == expected | {"yields.csv"}


def test_the_files_are_what_their_names_say(finished: Path) -> None:
    for name in FIGURES:
        files = {kind: (finished / "figures" / f"{name}.{kind}") for kind in style.FORMATS}
        root = ElementTree.fromstring(files["svg"].read_bytes())
        assert root.tag.endswith("svg")
        assert files["pdf"].read_bytes().startswith(b"%PDF-")
        assert b"/Type3" not in files["pdf"].read_bytes()  # conferences refuse type 3 fonts
        image = mpl.image.imread(files["png"])
        assert image.shape[1] in {round(300 * style.COLUMN), round(300 * style.PAGE)}
        assert 0.01 < np.mean(image[..., :3].min(axis=2) < 0.9) < 0.7  # neither blank nor black


def test_type_is_as_large_as_in_a_paper(finished: Path) -> None:
    # 72 units of the file's own are an inch, so 3.3 inches of column are 237.6
    root = ElementTree.fromstring((finished / "figures" / "scores.svg").read_bytes())
    assert root.get("width") == "237.6pt"
    assert style.STYLE["font.size"] == 8
    assert min(style.STYLE[f"{axis}tick.labelsize"] for axis in "xy") == 7


def test_scores_in_the_data_are_those_that_were_judged(finished: Path) -> None:
    table = rows(finished / "figures" / "scores.csv")
    assert {row["group"] for row in table} == {"may be rejected", "neither", "may be chosen"}
    for title in {row["panel"] for row in table}:
        counts = [int(row["count"]) for row in table if row["panel"] == title]
        shares = [float(row["share"]) for row in table if row["panel"] == title]
        assert sum(counts) == 12
        assert sum(shares) == pytest.approx(1)
        assert re.fullmatch(r"Round [12]: 4 pairs, from 4 of 4 prompts \(100 %\)", title)


def test_auto_bleu_is_shown_for_recordings_and_models(finished: Path) -> None:
    table = rows(finished / "figures" / "auto-bleu.csv")
    found = {(row["panel"], row["group"]) for row in table}
    assert ("Prompts of the feedback", "recordings") in found
    assert ("Prompts of the feedback", "round 2") in found
    assert ("Held-out prompts", "pre-trained") in found
    counted = [row for row in table if row["group"] == "recordings"]
    assert sum(int(row["count"]) for row in counted) == 4 + 1


def test_delta_is_the_recipe_s(finished: Path) -> None:
    data = repetition(read_run(finished))
    assert [[line.at for line in panel.lines] for panel in data.panels] == [[0.1], [0.1]]


def test_training_data_hold_every_finite_value(finished: Path) -> None:
    table = rows(finished / "figures" / "training.csv")
    margins = [row for row in table if row["quantity"] == "reward_margin"]
    assert len(margins) == 2 * 30
    assert float(margins[4]["value"]) == 0.05
    assert {row["training"] for row in table} == {"Round 1", "Round 2"}


def test_the_curriculum_goes_from_the_pre_trained_model_over_the_rounds(finished: Path) -> None:
    run = read_run(finished)
    assert list(curriculum_systems(run.results)) == [
        "pre-trained", "aligned round 1", "aligned round 2",
    ]  # fmt: skip
    score, repeats, _ = measured_tracks(run.results)
    assert [step.name for step in score.steps] == ["pre-trained", "round 1", "round 2"]
    assert [step.value for step in score.steps] == [2.41, 2.63, 3.02]
    assert repeats.title == "Auto-BLEU (%) ↓"
    assert (repeats.steps[0].low, repeats.steps[0].high) == pytest.approx((5.1, 11.1))


def test_yields_and_means_are_followed_over_the_rounds(finished: Path) -> None:
    tracks = {track.title: track for track in feedback_tracks(read_run(finished).rounds)}
    gave = tracks["Prompts that gave a pair (%)"]
    assert [step.value for step in gave.steps] == [100.0, 100.0]
    # exact binomial: of four prompts all four, so the lower end is 100 * 0.025 ** (1 / 4)
    assert gave.steps[0].low == pytest.approx(39.76, abs=0.01)
    run = read_run(finished)
    scores = [item.score for item in run.rounds[1].continuations]
    assert tracks["Score of the samples ↑"].steps[1].value == pytest.approx(np.mean(scores))


def test_writing_a_figure_twice_gives_the_same_bytes(finished: Path, tmp_path: Path) -> None:
    data = round_scores(read_run(finished))
    first = [p.read_bytes() for p in write_histograms(tmp_path / "a", "scores", data)]
    second = [p.read_bytes() for p in write_histograms(tmp_path / "b", "scores", data)]
    assert first == second


def test_settings_of_matplotlib_neither_matter_nor_change(finished: Path, tmp_path: Path) -> None:
    data = round_scores(read_run(finished))
    with mpl.rc_context({"font.size": 30, "savefig.dpi": 20}):
        _, _, png, _ = write_histograms(tmp_path, "scores", data)
        assert mpl.rcParams["font.size"] == 30
    assert png.read_bytes() == (finished / "figures" / "scores.png").read_bytes()


def test_a_name_with_dollars_and_an_axis_with_a_long_tail_can_be_drawn(tmp_path: Path) -> None:
    edges = bins(0, 1, 0.05)
    counts = [500, 480, *[0] * 17, 3]  # 0.3 % lie far out
    panel = Panel("$ \\frac{1$", {"$x$ & _y": counts, "other": counts}, [Line(0.1, "δ = 0.1")])
    data = Histograms("auto-BLEU", edges, [panel, panel], trim=True)
    table = rows(write_histograms(tmp_path, "tail", data)[-1])
    assert [int(row["count"]) for row in table[:20]] == counts


def test_clouds_are_drawn_with_what_the_classifier_says(compared: Path, tmp_path: Path) -> None:
    gap = golden_gap(read_representations(compared), order=["pre-trained"])
    table = rows(write_clouds(tmp_path, "clouds", gap)[-1])
    points = [row["system"] for row in table]
    assert points.count("recordings") == points.count("pre-trained") == 12
    assert [float(row["x"]) for row in table[:12]] == gap.golden[:, 0].tolist()


def test_looks_differ_without_color() -> None:
    assert len({str(look.line) for look in style.LOOKS}) == len(style.LOOKS)
    assert len({look.marker for look in style.LOOKS}) == len(style.LOOKS)


def test_empty_fields_and_commas_survive_csv() -> None:
    assert csv_text(Table(["a", "b"], [["x, y", None], [0.1, 3]])) == 'a,b\n"x, y",\n0.1,3\n'
