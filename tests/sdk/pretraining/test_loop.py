"""A training that is killed and continued must not differ from one that was not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from orality import CheckpointError, TrainingError
from orality.pretraining.loop import rng_of, run_training, update, warmup_then_linear
from orality.pretraining.state import read_checkpoint, write_checkpoint
from orality.store.folders import newest_step


class Killed(Exception):
    pass


def train(out: Path, *, steps: int = 12, die_at: int | None = None, **options: object) -> object:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 1))
    optimizer = torch.optim.AdamW(model.parameters())

    def step(index: int) -> dict[str, float | torch.Tensor]:
        if index == die_at:
            raise Killed
        x = torch.from_numpy(rng_of(3, index).standard_normal((6, 4))).float()
        loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
        update(loss, optimizer)
        return {"loss": loss.detach()}

    run_training(
        out=out,
        name="toy",
        state={"model": model},
        optimizers={"adamw": optimizer},
        step=step,
        total_steps=steps,
        learning_rate=warmup_then_linear(0.1, steps, warmup=2),
        log_every=1,
        checkpoint_seconds=0.0,
        **options,  # type: ignore[arg-type]
    )
    return model.state_dict()


def losses(out: Path) -> list[tuple[int, float]]:
    rows = map(json.loads, (out / "losses.jsonl").read_text().splitlines())
    return [(row["step"], row["loss"]) for row in rows]


def test_a_killed_and_continued_training_equals_an_unbroken_one(tmp_path: Path) -> None:
    whole = train(tmp_path / "whole")
    with pytest.raises(Killed):
        train(tmp_path / "cut", die_at=7)
    continued = train(tmp_path / "cut")
    for name, value in whole.items():  # type: ignore[attr-defined]
        assert torch.equal(value, continued[name]), name  # type: ignore[index]
    assert losses(tmp_path / "whole") == losses(tmp_path / "cut")


def test_log_lines_after_the_last_checkpoint_are_not_doubled(tmp_path: Path) -> None:
    train(tmp_path, steps=4)
    with (tmp_path / "losses.jsonl").open("a") as file:
        file.write('{"step": 5, "loss": 9.0}\n{"step": 6, "lo')
    train(tmp_path, steps=6)
    assert [step for step, _ in losses(tmp_path)] == [1, 2, 3, 4, 5, 6]
    assert losses(tmp_path)[4][1] != 9.0


def test_a_finished_training_does_nothing_more(tmp_path: Path) -> None:
    first = train(tmp_path)
    again = train(tmp_path, die_at=0)
    for name, value in first.items():  # type: ignore[attr-defined]
        assert torch.equal(value, again[name])  # type: ignore[index]


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_checkpoint(tmp_path: Path) -> None:
    weight = torch.nn.Linear(1, 1)

    def run() -> None:
        run_training(
            out=tmp_path,
            name="toy",
            state={"weight": weight},
            optimizers={},
            step=lambda index: {"loss": float("nan") if index == 3 else 1.0},
            total_steps=5,
            learning_rate=lambda step: 0.1,
            checkpoint_seconds=0.0,
        )

    with pytest.raises(TrainingError, match="loss is not finite at step 3"):
        run()
    path = newest_step(tmp_path / "checkpoints")
    assert path is not None
    assert read_checkpoint(path)[0] == 3


def test_a_gradient_that_is_not_finite_leaves_the_weights(tmp_path: Path) -> None:
    weight = torch.nn.Parameter(torch.tensor([2.0]))
    update((weight * float("inf")).sum(), torch.optim.SGD([weight], lr=1.0))
    assert weight.item() == 2.0


def test_other_settings_are_refused(tmp_path: Path) -> None:
    train(tmp_path, settings={"width": 8})
    with pytest.raises(TrainingError, match="other settings"):
        train(tmp_path, settings={"width": 9})


def test_more_steps_continue_the_same_training(tmp_path: Path) -> None:
    train(tmp_path, steps=3, settings={"width": 8})
    train(tmp_path, steps=5, settings={"width": 8})
    assert [step for step, _ in losses(tmp_path)] == [1, 2, 3, 4, 5]


def test_the_newest_checkpoints_are_kept_and_damaged_ones_passed_over(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        write_checkpoint(tmp_path, step, {"x": {"a": torch.ones(1)}}, keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000002", "step-00000003"]
    (tmp_path / "step-00000003" / "state.pt").write_bytes(b"no")
    assert newest_step(tmp_path) == tmp_path / "step-00000002"


def test_moments_and_settings_of_an_optimizer_come_back_bit_for_bit(tmp_path: Path) -> None:
    weight = torch.nn.Parameter(torch.tensor([0.1, float("-0.0"), 1e-42, 3.0]))
    optimizer = torch.optim.AdamW([weight], lr=0.3, betas=(0.8, 0.95), amsgrad=True)
    for seed in range(3):
        update((weight * torch.randn(4, generator=torch.manual_seed(seed))).sum(), optimizer)
    saved = optimizer.state_dict()
    step, values = read_checkpoint(write_checkpoint(tmp_path, 3, {"adamw": saved}))
    read = values["adamw"]
    assert (step, read["param_groups"]) == (3, saved["param_groups"])
    assert isinstance(read["param_groups"][0]["betas"], tuple)
    assert set(read["state"][0]) == {"step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq"}
    for name, value in saved["state"][0].items():
        assert torch.equal(value.view(torch.int32), read["state"][0][name].view(torch.int32)), name


def test_a_checkpoint_executes_nothing(tmp_path: Path) -> None:
    class Canary:
        def __reduce__(self) -> tuple[object, ...]:
            return (tmp_path.joinpath("ran").touch, ())

    path = write_checkpoint(tmp_path, 1, {"x": Canary()})
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_checkpoint(path)
    assert not (tmp_path / "ran").exists()


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path, 1, {"x": {}})
    (path / "state.pt").write_bytes(b"no")
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_checkpoint(path)


def test_the_learning_rate_rises_holds_and_falls() -> None:
    rate = warmup_then_linear(1.0, 100, warmup=10, hold=0.5, floor=0.1)
    assert rate(0) == pytest.approx(0.1)
    assert rate(9) == rate(48) == 1.0
    assert rate(74) == pytest.approx(0.5)  # 75 % done: half of the fall
    assert rate(99) == pytest.approx(0.1)
