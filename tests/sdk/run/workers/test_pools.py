"""Arithmetic of pools: no cluster is needed for it."""

from __future__ import annotations

import pytest

from orality import Recipe, RecipeError
from orality.recipe.sections import Pool
from orality.run.workers.pools import PoolSize, shortage, size_pools, stages_on_gpu

STAGES = ("continuations", "speech", "verdicts", "pairs")
ON_GPU = {"continuations", "speech", "verdicts"}


def parts(cluster, *, cpus, gpus):
    pools = size_pools(
        STAGES, {k: Pool(**v) for k, v in cluster.items()}, on_gpu=ON_GPU, cpus=cpus, gpus=gpus
    )
    return {pool.stage: (pool.least, pool.most, pool.cpus, pool.gpus) for pool in pools}


def test_every_stage_has_an_actor_with_a_core_and_a_gpu_where_there_are_enough():
    assert parts({}, cpus=16, gpus=8) == {
        "continuations": (1, 1, 1, 1),
        "speech": (1, 1, 1, 1),
        "verdicts": (1, 1, 1, 1),
        "pairs": (1, 1, 1, 0),
    }


def test_actors_share_what_is_scarce():
    # four actors on two cores, three on one GPU
    assert parts({}, cpus=2, gpus=1) == {
        "continuations": (1, 1, 0.5, 0.33),
        "speech": (1, 1, 0.5, 0.33),
        "verdicts": (1, 1, 0.5, 0.33),
        "pairs": (1, 1, 0.5, 0),
    }


def test_what_the_recipe_gives_is_kept_and_the_rest_shares_what_is_left():
    found = parts({"continuations": {"actors": [2, 6], "gpus": 1, "cpus": 3}}, cpus=7.5, gpus=3)
    assert found == {
        "continuations": (2, 6, 3, 1),
        "speech": (1, 1, 0.5, 0.5),
        "verdicts": (1, 1, 0.5, 0.5),
        "pairs": (1, 1, 0.5, 0),
    }


def test_what_a_cluster_lacks_is_told():
    pools = [PoolSize(stage="speech", least=2, most=2, cpus=4, gpus=1)]
    assert shortage(pools, cpus=8, gpus=2) == ""
    assert shortage(pools, cpus=8, gpus=1) == "2 GPUs where there are 1"
    assert (
        shortage(pools, cpus=4, gpus=0) == "8 cores where there are 4 and 2 GPUs where there are 0"
    )


def toy(**changes):
    return Recipe.parse(Recipe.load("toy").model_dump() | changes)


def test_a_judge_behind_a_server_needs_no_gpu():
    recipe = toy(further_judges={"claude": {"name": "anthropic"}})
    assert stages_on_gpu(recipe.resolve()) == {
        "prompts", "continuations", "speech", "transcripts", "verdicts",
    }  # fmt: skip


def test_the_size_of_a_cluster_changes_no_run():
    sizes = {"continuations": {"actors": [1, 4], "gpus": 1}, "prompts": {"actors": 2}}
    assert toy(cluster=sizes).fingerprint == toy().fingerprint
    assert toy(cluster=sizes).feedback == toy().feedback
    assert toy(cluster=sizes).cluster["continuations"].most == 4
    assert Recipe.parse(toy(cluster=sizes).model_dump(mode="json")) == toy(cluster=sizes)


@pytest.mark.parametrize(
    ("cluster", "message"),
    [
        ({"continuation": {"actors": 2}}, r"no stage is called \['continuation'\]; there are"),
        ({"verdicts-second": {"actors": 2}}, "no stage is called"),
        ({"speech": {"actors": 0}}, "greater than or equal to 1"),
        ({"speech": {"actors": [3, 2]}}, "got 3, 2"),
        ({"speech": {"gpus": 1.5}}, "a part of one or a whole number, got 1.5"),
        ({"speech": {"gpu": 1}}, r"cluster\.speech\.gpu: unknown key"),
    ],
)
def test_a_pool_that_cannot_be_is_named(cluster, message):
    with pytest.raises(RecipeError, match=message):
        toy(cluster=cluster)


def test_a_further_judge_s_stage_has_a_pool_too():
    recipe = toy(
        further_judges={"second": {"name": "toy"}}, cluster={"verdicts-second": {"actors": 2}}
    )
    assert recipe.cluster["verdicts-second"].least == 2
