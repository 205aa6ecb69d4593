from __future__ import annotations

import numpy as np
import pytest

from orality.errors import EvaluationError
from orality.report.speech_gap.separation import separation

PROMPTS = [f"p{number:02d}" for number in range(40)]


def apart(golden, synthetic, *, prompts=PROMPTS, **options):
    return separation(
        golden, synthetic, golden_prompts=prompts[: len(golden)],
        synthetic_prompts=(prompts * 9)[: len(synthetic)], **options,
    )  # fmt: skip


def test_samples_that_lie_apart_have_an_auc_of_one() -> None:
    draw = np.random.default_rng(0)
    found = apart(draw.normal(0, 1, (40, 5)), draw.normal(8, 1, (40, 5)))
    assert (found.auc, found.low, found.high) == (1.0, 1.0, 1.0)
    assert (found.prompts, found.vectors, found.folds) == (40, 80, 5)


def test_a_shift_gives_the_auc_of_two_normal_distributions() -> None:
    # one dimension, one standard deviation apart: AUC = Phi(1 / sqrt(2)) = 0.760
    draw = np.random.default_rng(0)
    prompts = [f"p{number:04d}" for number in range(1500)]
    found = apart(draw.normal(0, 1, (1500, 1)), draw.normal(1, 1, (1500, 1)), prompts=prompts)
    assert found.auc == pytest.approx(0.760, abs=0.02)
    assert found.low < 0.760 < found.high
    assert found.high - found.low < 0.05


def test_the_interval_holds_one_half_when_nothing_differs() -> None:
    inside = 0
    for seed in range(60):
        draw = np.random.default_rng(seed)
        found = apart(
            draw.normal(size=(40, 6)), draw.normal(size=(80, 6)), seed=seed, resamples=200
        )
        inside += found.low <= 0.5 <= found.high
    assert inside >= 51  # 60 draws at 95 % have fewer than 52 by chance in 1 % of cases


def test_what_a_prompt_has_in_common_is_no_difference() -> None:
    draw = np.random.default_rng(2)
    topic = 10 * draw.normal(size=(40, 6))  # far larger than anything else
    found = apart(topic + draw.normal(size=(40, 6)), topic + draw.normal(size=(40, 6)))
    assert found.low < 0.5 < found.high


def test_scales_of_features_do_not_matter() -> None:
    draw = np.random.default_rng(3)
    golden, synthetic = draw.normal(0, 1, (40, 3)), draw.normal(1, 1, (40, 3))
    scale = np.array([1e-6, 1.0, 1e6])
    one, other = apart(golden, synthetic), apart(golden * scale, synthetic * scale)
    assert one.auc == pytest.approx(other.auc)


def test_constant_features_are_passed_over() -> None:
    draw = np.random.default_rng(4)
    golden, synthetic = (np.hstack([draw.normal(m, 1, (40, 2)), np.ones((40, 1))]) for m in (0, 5))
    assert apart(golden, synthetic).auc > 0.99


def test_the_same_seed_gives_the_same_interval() -> None:
    draw = np.random.default_rng(5)
    golden, synthetic = draw.normal(size=(40, 3)), draw.normal(size=(80, 3))
    assert apart(golden, synthetic, seed=7) == apart(golden, synthetic, seed=7)


def test_too_few_prompts_say_nothing() -> None:
    assert apart(np.zeros((9, 2)), np.ones((9, 2))) is None


@pytest.mark.parametrize(
    ("golden", "synthetic", "message"),
    [
        (np.zeros((40, 2)), np.zeros((40, 3)), "do not compare"),
        (np.zeros(40), np.zeros((40, 3)), "do not compare"),
        (np.full((40, 2), np.nan), np.zeros((40, 2)), "not finite"),
        (np.zeros((41, 2)), np.zeros((40, 2)), "wanted one each"),
    ],
)
def test_vectors_that_do_not_fit_are_refused(golden, synthetic, message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        separation(golden, synthetic, golden_prompts=PROMPTS, synthetic_prompts=PROMPTS)
