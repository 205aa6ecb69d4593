from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from orality.report.data.run_data import Continuation
from orality.report.figures.axes import LEFT, RIGHT, WIDTH, Axis, number, text, ticks
from orality.report.figures.draw import Curve, Line, bins, counted, curves, histogram
from orality.report.figures.intervals import Estimate, interval_figure
from orality.report.player import outline
from orality.report.sections.listening import spread
from orality.report.sections.results import p_text, signed
from orality.report.sections.rounds import training_figures
from orality.report.sections.thresholds import Thresholds
from orality.types import Waveform

NAMES = {"rejected": "may be rejected", "neither": "neither", "chosen": "may be chosen"}


def parsed(figure) -> ElementTree.Element:
    return ElementTree.fromstring(str(figure.drawing))


def test_ticks_are_round_and_inside() -> None:
    assert ticks(1, 5, 4) == [1, 2, 3, 4, 5]
    assert ticks(0, 1, 5) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert ticks(0, 3, 5, whole=True) == [0, 1, 2, 3]
    assert ticks(-0.1, 0.1, 4) == pytest.approx([-0.1, -0.05, 0, 0.05, 0.1])


def test_numbers_have_a_true_minus_and_separators() -> None:
    assert number(-0.25) == "−0.25"
    assert number(12000) == "12,000"


def test_an_axis_maps_its_ends_to_its_ends() -> None:
    axis = Axis(1, 5, 40, 340)
    assert (axis(1), axis(3), axis(5)) == (40, 190, 340)


def test_bins_hold_their_lower_edge_and_the_last_one_its_upper() -> None:
    edges = bins(1, 5, 1)
    assert edges == [1, 2, 3, 4, 5]
    assert counted([1, 1.5, 2, 4.9, 5, 9, -3], edges) == [3, 1, 0, 3]


def test_bins_survive_rounding_at_tenths() -> None:
    assert counted([0.1, 0.15, 0.3], bins(0, 1, 0.05))[:7] == [0, 0, 1, 1, 0, 0, 1]


def test_a_histogram_stacks_to_heights_in_proportion() -> None:
    drawn = histogram(
        "Scores", {"rejected": [1.2] * 3, "chosen": [4.2] * 6}, bins(1, 5, 1),
        label="score", names=NAMES, lines=[Line(3, "s_c = 3")],
    )  # fmt: skip
    rects = [node for node in parsed(drawn) if node.tag == "rect"]
    bars = [node for node in rects if node.get("class") != "hatched"]
    assert [bar.get("class") for bar in bars] == ["rejected", "chosen"]
    assert float(bars[1].get("height")) == pytest.approx(2 * float(bars[0].get("height")), abs=0.2)
    hatched = next(node for node in rects if node.get("class") == "hatched")
    assert [hatched.get(key) for key in "xy"] == [bars[0].get(key) for key in "xy"]
    assert drawn.rows == [["1 to 2", "3", "0", "0"], ["4 to 5", "0", "0", "6"]]
    assert drawn.legend == [("rejected", "may be rejected"), ("chosen", "may be chosen")]
    threshold = next(node for node in parsed(drawn) if node.get("class") == "threshold")
    x = Axis(1, 5, LEFT, WIDTH - RIGHT)
    assert float(re.match(r"M([\d.]+) ", threshold.get("d"))[1]) == x(3)


def test_markup_in_a_label_stays_text() -> None:
    drawn = interval_figure("<b>&", [Estimate("<script>", 1, 0, 2)], level=None, digits=1)
    assert "<script>" not in drawn.drawing
    assert parsed(drawn).get("aria-label") == "<b>&"


def test_thresholds_have_subscripts() -> None:
    label = ElementTree.fromstring(str(text(0, 0, "s_r = 1.5", "mark")))
    assert [node.text for node in label] == ["r", " = 1.5"]


def test_a_single_system_without_an_interval_can_be_drawn() -> None:
    drawn = interval_figure("PPL", [Estimate("only", 7.0, None, None)], level=7.0, digits=1)
    assert drawn.rows == [["only", "7.0", "", ""]]


def test_curves_keep_every_step_in_their_table() -> None:
    drawn = curves(
        "Loss", [Curve("train", "train", [(1, 0.7), (2, 0.6)]), Curve("dev", "dev", [(2, 0.65)])]
    )
    assert drawn.head == ["step", "train", "dev"]
    assert drawn.rows == [["1", "0.7000", ""], ["2", "0.6000", "0.6500"]]
    assert len([node for node in parsed(drawn) if node.tag == "circle"]) == 1


def test_training_figures_tolerate_missing_and_broken_values() -> None:
    rows = [
        {"step": 1, "loss": float("nan"), "reward_accuracy": None},
        {"step": 2, "loss": 0.5, "dev_loss": "n/a"},
    ]
    assert [figure.title for figure in training_figures(rows)] == ["Loss"]
    assert training_figures([{"step": 1}]) == []


def continuation(score: float | None, auto_bleu: float | None) -> Continuation:
    return Continuation("a-0", "a", None, "", auto_bleu, score, None, "")


@pytest.mark.parametrize(
    ("score", "auto_bleu", "side"),
    [
        (3.0, 0.1, "chosen"), (3.0, 0.11, "rejected"), (2.9, 0.0, "neither"),
        (1.5, 0.0, "rejected"), (5.0, None, "chosen"), (None, 0.9, "neither"),
    ],
)  # fmt: skip
def test_sides_follow_equation_2(score: float | None, auto_bleu: float | None, side: str) -> None:
    assert Thresholds(1.5, 3.0, 0.1).side(continuation(score, auto_bleu)) == side


def test_prompts_are_spread_evenly() -> None:
    ids = [f"{index:02d}" for index in range(10)]
    assert spread(ids, 5) == ["00", "02", "04", "06", "08"]
    assert spread(ids, 99) == ids
    assert spread(ids, 0) == []


def test_an_outline_is_high_where_the_sound_is_loud() -> None:
    samples = np.concatenate([np.zeros(4400), np.full(4400, 0.5)]).astype(np.float32)
    heights = re.findall(r"v([\d.]+)", outline(Waveform(samples, 16_000)))
    assert heights == ["1.0"] * 22 + ["21.0"] * 22


def test_silence_has_a_flat_outline() -> None:
    flat = outline(Waveform(np.zeros(20, dtype=np.float32), 16_000))
    assert set(re.findall(r"v([\d.]+)", flat)) == {"1.0"}


def test_p_values_and_differences_are_written_plainly() -> None:
    assert p_text(0.0004) == "p < 0.001"
    assert p_text(0.0312) == "p = 0.031"
    assert (signed(0.42, 2), signed(-1.26, 1), signed(-0.001, 2)) == ("+0.42", "−1.3", "±0.00")
