from __future__ import annotations

import logging
import shutil
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from orality.errors import EvaluationError, StoreError
from orality.report import store_hidden_states
from orality.report.data.stored_units import golden_units, stretches
from orality.report.speech_gap.embedding import embed_in_plane, principal_components
from orality.report.speech_gap.golden_gap import golden_gap
from orality.report.speech_gap.representations import (
    FILE,
    Representations,
    read_representations,
    store_representations,
)
from orality.report.speech_gap.unit_counts import unit_count_vectors
from orality.testing.toy_slm import random_slm


def given(count: int = 30) -> Representations:
    draw = np.random.default_rng(0)
    prompts = [f"p{number}" for number in range(count)]
    vectors = np.concatenate([draw.normal(shift, 1, (count, 4)) for shift in (0, 0.1, 4)])
    systems = ["golden"] * count + ["near"] * count + ["far"] * count
    return Representations("mean hidden states", vectors, systems, prompts * 3)


def test_units_are_counted_alone_and_in_pairs() -> None:
    # units 1, 2 and the pair (1, 2), which occurs three times, before (2, 1), which does twice
    found = unit_count_vectors([[1, 2, 1, 2], [2, 1, 2]], bigrams=1)
    expected = [[2 / 4, 2 / 4, 2 / 3], [1 / 3, 2 / 3, 1 / 2]]
    assert found == pytest.approx(np.sqrt(expected))


def test_a_recording_without_its_prompt_is_what_is_golden(compared: Path) -> None:
    heard, after = golden_units(compared, {"story-000", "story-004"})
    assert heard == {"story-000": [1, 2, 3], "story-004": [1, 2, 3]}
    assert {len(found) for found in after.values()} == {40}


def test_stored_units_are_compared_on_held_out_prompts(compared: Path) -> None:
    found = read_representations(compared)
    assert found.kind == "counts of units"
    assert set(found.systems) == {"golden", "pre-trained", "aligned round 1", "aligned round 2"}
    assert len(set(found.prompts)) == 12
    gap = golden_gap(found, order=["pre-trained"])
    assert next(name for name, _ in gap.separations) == "pre-trained"
    assert all(apart.auc > 0.9 for _, apart in gap.separations)


def test_representations_of_ones_own_come_first(run: Path) -> None:
    store_representations(run, given())
    found = read_representations(run)
    assert (found.kind, found.vectors.shape) == ("mean hidden states", (90, 4))
    apart = dict(golden_gap(found).separations)
    assert apart["far"].auc > 0.95 > 0.7 > apart["near"].auc


def test_hidden_states_of_a_model_can_be_compared(compared: Path, tmp_path: Path) -> None:
    run = shutil.copytree(compared, tmp_path / "run")
    slm = random_slm()
    store_hidden_states(run, slm, layer=1)
    found = read_representations(run)
    assert found.kind == "mean hidden states, layer 1"
    assert found.vectors.shape == (12 * 4, 32)
    stretch = next(item for item in stretches(run) if item.system == "pre-trained")
    ids = torch.tensor([[*stretch.before, *stretch.units]]) + 2  # the toy's offset
    with torch.no_grad():
        states = slm.module(input_ids=ids, output_hidden_states=True).hidden_states[1][0, 3:]
    row = list(zip(found.systems, found.prompts, strict=True)).index(
        ("pre-trained", stretch.prompt)
    )
    assert found.vectors[row] == pytest.approx(states.mean(dim=0).double().numpy(), abs=1e-6)


def test_a_model_without_hidden_states_is_named(compared: Path) -> None:
    class Bare(torch.nn.Linear):
        def forward(self, **_: object) -> object:
            return object()

    slm = random_slm().with_module(Bare(1, 1))
    with pytest.raises(EvaluationError, match="Bare gives no hidden states"):
        store_hidden_states(compared, slm)
    assert not (compared / FILE).exists()


def test_stretches_of_a_prompt_are_equally_long(compared: Path, tmp_path: Path) -> None:
    run = shutil.copytree(compared, tmp_path / "run")
    path = run / "evaluation" / "pre-trained" / "samples" / "shard-00000.parquet"
    table = pq.read_table(path)
    rows = table.to_pylist()
    rows[0]["units"], rows[1]["units"] = rows[0]["units"][:25], rows[1]["units"][:19]
    pq.write_table(table.from_pylist(rows, schema=table.schema), path)
    found = stretches(run)
    lengths = {item.prompt: len(item.units) for item in found}
    assert lengths[rows[0]["prompt_id"]] == 25
    assert rows[1]["prompt_id"] not in lengths  # 19 units say too little
    assert len(found) == 11 * 4
    assert all(len(item.units) == lengths[item.prompt] for item in found)


def test_before_an_evaluation_the_rounds_are_compared(compared: Path, tmp_path: Path) -> None:
    run = shutil.copytree(compared, tmp_path / "run")
    shutil.rmtree(run / "evaluation")
    for number in (1, 2):
        path = run / f"round-{number}" / "continuations" / "shard-00000.parquet"
        table = pq.read_table(path)
        rows = [{**row, "units": [4, 5] * 15} for row in table.to_pylist()]
        # the second round went on from only two of the four prompts
        rows = [row for row in rows if number == 1 or row["prompt_id"] < "story-002"]
        pq.write_table(table.from_pylist(rows, schema=table.schema), path)
    found = stretches(run)
    assert {item.system for item in found} == {
        "golden", "sampled in round 1", "sampled in round 2",
    }  # fmt: skip
    assert {item.prompt for item in found} == {"story-000", "story-001"}
    assert len(found) == 2 * (1 + 3 + 3)


def test_stored_representations_that_do_not_fit_are_refused(run: Path) -> None:
    found = given()
    with pytest.raises(StoreError, match="one of each for every row"):
        store_representations(
            run, Representations("x", found.vectors[:5], found.systems, found.prompts)
        )
    with pytest.raises(StoreError, match="no representation has the system 'golden'"):
        store_representations(
            run, Representations("x", found.vectors, ["other"] * 90, found.prompts)
        )


def test_objects_are_never_read_from_representations(run: Path) -> None:
    trap = np.array([Trap()], dtype=object)
    np.savez(run / FILE, kind=np.array("x"), vectors=trap, systems=trap, prompts=trap)
    with pytest.raises(StoreError, match="cannot be read as representations"):
        read_representations(run)


class Trap:
    def __reduce__(self) -> object:
        return (pytest.fail, ("an object was unpickled",))


def test_a_torn_file_is_named(run: Path) -> None:
    path = store_representations(run, given())
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(StoreError, match=FILE):
        read_representations(run)


def test_principal_components_keep_distances_in_a_plane() -> None:
    flat = np.array([[0.0, 0, 0], [3, 0, 0], [0, 4, 0], [3, 4, 0]])
    found, shares = principal_components(flat, 2)
    assert np.linalg.norm(found[0] - found[3]) == pytest.approx(5)
    assert shares == pytest.approx([0.64, 0.36])


def test_without_scikit_learn_components_are_shown_and_the_log_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with caplog.at_level(logging.INFO, logger="orality.report.speech_gap.embedding"):
        found = embed_in_plane(given().vectors)
    assert found.method == "PCA"
    assert "% of the variance" in found.settings
    assert "pip install 'orality[figures]'" in caplog.text


def test_t_sne_keeps_what_is_apart_apart_and_repeats_itself() -> None:
    pytest.importorskip("sklearn", reason="t-SNE needs scikit-learn")
    draw = np.random.default_rng(0)
    vectors = np.concatenate([draw.normal(0, 1, (20, 6)), draw.normal(20, 1, (20, 6))])
    one, other = embed_in_plane(vectors, seed=3), embed_in_plane(vectors, seed=3)
    assert one.method == "t-SNE"
    assert "seed 3" in one.settings
    assert np.array_equal(one.coordinates, other.coordinates)
    near, far = one.coordinates[:20], one.coordinates[20:]
    spread = max(np.ptp(near, axis=0).max(), np.ptp(far, axis=0).max())
    assert np.linalg.norm(near.mean(axis=0) - far.mean(axis=0)) > spread
