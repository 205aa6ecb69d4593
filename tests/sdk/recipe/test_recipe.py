from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import ClassVar

import pytest

from orality import CompatibilityError, ComponentConfig, JudgeSpec, Recipe, RecipeError, hookimpl
from orality import load as load_plugins
from orality.recipe.files import shipped_recipes


def toy(**changes):
    data = Recipe.load("toy").model_dump()
    data.update(changes)
    return data


def test_the_shipped_recipes_are_these():
    assert shipped_recipes() == ["align-slm-1.3b", "align-slm-7b", "tiny", "tiny-table1", "toy"]


@pytest.mark.parametrize("name", ["align-slm-1.3b", "align-slm-7b", "tiny", "tiny-table1", "toy"])
def test_every_shipped_recipe_fits_together_without_weights(name):
    assert Recipe.load(name).check().judge is not None


def test_a_recipe_survives_its_own_dump(tmp_path):
    path = tmp_path / "again.yaml"
    path.write_text(Recipe.load("tiny").dump())
    assert Recipe.load(path) == Recipe.load("tiny")


def test_every_mistake_is_listed_at_once():
    data = toy(toknizer={"name": "toy"}, seed="one")
    data["sampling"] = {"samples_per_prompt": 1}
    with pytest.raises(RecipeError) as caught:
        Recipe.parse(data, name="mine.yaml")
    message = str(caught.value)
    assert "toknizer: unknown key" in message
    assert "seed:" in message
    assert "sampling.samples_per_prompt" in message


def test_steps_and_epochs_exclude_each_other():
    data = toy()
    data["training"] = {"steps": 5, "epochs": 1}
    with pytest.raises(RecipeError, match="either steps or epochs"):
        Recipe.parse(data)


@pytest.mark.parametrize(
    "training", [{"loss": "ipo", "label_smoothing": 0.1}, {"loss": "sigmoid", "margin": 0.5}]
)
def test_settings_that_a_loss_does_not_know_are_refused_before_anything_is_sampled(training):
    data = toy()
    data["training"] |= training
    with pytest.raises(RecipeError, match=r"is for the loss"):
        Recipe.parse(data)


def test_an_unknown_name_lists_the_shipped_ones():
    with pytest.raises(RecipeError, match="tiny-table1"):
        Recipe.load("tinny")


def test_a_missing_file_is_named():
    with pytest.raises(RecipeError, match="there is no recipe file nowhere/at-all.yaml"):
        Recipe.load("nowhere/at-all.yaml")


def test_broken_yaml_is_named(tmp_path):
    path = tmp_path / "broken.yaml"
    path.write_text("name: [unclosed")
    with pytest.raises(RecipeError, match="cannot be read"):
        Recipe.load(path)


def test_yaml_never_builds_objects(tmp_path):
    path = tmp_path / "evil.yaml"
    path.write_text("name: !!python/object/apply:os.system ['touch pwned']")
    with pytest.raises(RecipeError, match="cannot be read"):
        Recipe.load(path)


def test_a_threshold_outside_the_scale_is_refused():
    with pytest.raises(CompatibilityError, match="outside the scale 1 to 5"):
        Recipe.parse(toy(rounds=[{"rejected": 1, "chosen": 6}])).check()


def test_the_fingerprint_follows_the_settings_and_not_the_description():
    recipe = Recipe.parse(toy())
    assert Recipe.parse(toy(description="other words")).fingerprint == recipe.fingerprint
    assert Recipe.parse(toy(seed=9)).fingerprint != recipe.fingerprint


class DistantConfig(ComponentConfig):
    neutral: ClassVar[frozenset[str]] = frozenset({"patience"})

    near: bool = False
    patience: int = 1
    strictness: int = 1


@hookimpl
def orality_judges():
    yield JudgeSpec(
        name="distant",
        config=DistantConfig,
        build=lambda config: None,
        reads=frozenset({"text"}),
        scale=(1.0, 5.0),
        local=lambda config: config.near,
    )


def with_the_distant_judge():
    return load_plugins([SimpleNamespace(__name__="distant", orality_judges=orality_judges)])


@pytest.mark.parametrize(
    "place", ["judge", "evaluation.judge", "further_judges.it", "evaluation.further_judges.it"]
)
def test_a_local_recipe_refuses_what_sends_data_away(place):
    registry = with_the_distant_judge()

    def recipe(near, local_only):
        data = toy(local_only=local_only)
        *sections, key = place.split(".")
        section = data
        for name in sections:
            section = section[name]
        section[key] = {"name": "distant", "near": near}
        return Recipe.parse(data)

    assert recipe(near=False, local_only=False).check(registry)
    assert recipe(near=True, local_only=True).check(registry)
    with pytest.raises(CompatibilityError, match=f"{place} 'distant' sends data"):
        recipe(near=False, local_only=True).check(registry)
    assert recipe(True, True).fingerprint == recipe(True, False).fingerprint


def test_settings_that_change_no_result_do_not_change_the_run():
    registry = with_the_distant_judge()

    def identity(**config):
        recipe = Recipe.parse(toy(judge={"name": "distant", **config}))
        return recipe.resolve(registry).fingerprint

    more = {"name": "distant", "patience": 5, "strictness": 2}
    labeled = Recipe.parse(toy(further_judges={"it": more})).resolve(registry)
    assert labeled.parts["further_judges.it"].lasting == {"strictness": 2}
    without = Recipe.parse(toy(further_judges={"it": {"name": "distant", "strictness": 2}}))
    assert labeled.fingerprint == without.fingerprint
    assert identity(patience=5) == identity(patience=9) == identity()
    assert identity(strictness=5) != identity(strictness=9)
    plain = Recipe.parse(toy())
    assert plain.resolve(registry).fingerprint == plain.fingerprint


def with_judges_of_its_evaluation(further=None, **judges):
    data = toy(further_judges=further or {})
    data["evaluation"]["further_judges"] = judges
    return Recipe.parse(data)


def test_an_evaluation_s_own_judges_change_no_round_and_no_fingerprint():
    recipe = with_judges_of_its_evaluation(other={"name": "toy"})
    assert recipe.choices["evaluation.further_judges.other"].name == "toy"
    assert recipe.fingerprint == Recipe.parse(toy()).fingerprint
    assert list(recipe.resolve().judges) == ["verdicts"]
    assert recipe.check()


def test_an_evaluation_s_own_judges_have_labels_of_their_own():
    with pytest.raises(RecipeError, match=r"labels \['same'\] are those of further_judges"):
        with_judges_of_its_evaluation({"same": {"name": "toy"}}, same={"name": "toy"})


def test_an_evaluation_s_own_judges_must_read_the_language_and_what_there_is():
    @hookimpl
    def orality_judges():
        for name, reads, spoken in (("german", "text", "de"), ("smelling", "smell", "en")):
            yield JudgeSpec(
                name=name,
                config=ComponentConfig,
                build=lambda config: None,
                reads=frozenset({reads}),
                scale=(1.0, 5.0),
                languages=lambda config, spoken=spoken: frozenset({spoken}),
            )

    registry = load_plugins([SimpleNamespace(__name__="odd", orality_judges=orality_judges)])
    recipe = with_judges_of_its_evaluation(de={"name": "german"}, nose={"name": "smelling"})
    with pytest.raises(CompatibilityError) as refused:
        recipe.check(registry)
    assert "evaluation.further_judges.de: language: the transcripts are in 'en'" in str(
        refused.value
    )
    assert "evaluation.further_judges.nose: judge 'smelling' reads ['smell']" in str(refused.value)


def test_a_corpus_is_cut_in_one_way():
    data = Recipe.load("toy").model_dump()
    data["corpus"] |= {"fixed_cut": True, "cut": "aligned"}
    with pytest.raises(RecipeError, match="fixed_cut and cut: aligned are two ways to cut"):
        Recipe.parse(data)


class _EarConfig(ComponentConfig):
    """A judge that listens, and needs no text."""


@hookimpl
def _listening_judges():
    yield JudgeSpec(
        name="ear",
        config=_EarConfig,
        build=lambda config: None,
        reads=frozenset({"audio"}),
        scale=(1.0, 5.0),
    )


@pytest.mark.parametrize("way", ["aligned", "asr"])
def test_words_are_not_timed_without_a_transcriber(way):
    plugins = load_plugins([SimpleNamespace(__name__="ear", orality_judges=_listening_judges)])
    data = toy(judge={"name": "ear"}, transcriber=None)
    Recipe.parse(data).check(plugins)
    data["corpus"] |= {"cut": way}
    with pytest.raises(CompatibilityError, match=f"corpus.cut: '{way}' needs a transcriber"):
        Recipe.parse(data).check(plugins)
    data["corpus"] |= {"transcriber": {"name": "toy"}}
    Recipe.parse(data).check(plugins)


def test_a_corpus_names_its_own_transcriber_and_columns():
    data = Recipe.load("toy").model_dump()
    data["corpus"] |= {"transcriber": {"name": "toy"}, "columns": {"text": "sentence"}}
    recipe = Recipe.parse(data)
    assert recipe.choices["corpus.transcriber"].name == "toy"
    recipe.check()
    data["corpus"]["columns"] = {"txt": "sentence"}
    with pytest.raises(RecipeError, match="corpus.columns"):
        Recipe.parse(data)


def test_the_fixed_cut_of_twist_is_a_change_of_any_recipe():
    corpus = Recipe.load("align-slm-1.3b").with_fixed_cut(3.0).corpus
    assert (corpus.fixed_cut, corpus.cut, corpus.prompt_seconds) == (True, "fixed", 3.0)
    assert Recipe.parse(Recipe.load("toy").with_fixed_cut(3.0).model_dump())


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ({"gap": "margin", "loss": "simpo"}, "gap: margin is not for simpo"),
        ({"gap": "weight", "gap_scale": 2.0}, "gap_scale is for gap: margin"),
        ({"lora_targets": []}, "training.lora_targets"),
        ({"reference": "second"}, "training.reference"),
    ],
)
def test_training_options_that_mean_nothing_are_refused(training, message):
    data = Recipe.load("toy").model_dump()
    with pytest.raises(RecipeError, match=message):
        Recipe.parse(data | {"training": data["training"] | training})


def test_a_limit_that_only_warns_does_not_make_another_run():
    data = Recipe.load("toy").model_dump()
    other = Recipe.parse(data | {"training": data["training"] | {"max_kl": 10.0}})
    assert other.fingerprint == Recipe.load("toy").fingerprint


def evaluated(**changes):
    data = toy()
    return Recipe.parse({**data, "evaluation": {**data["evaluation"], **changes}})


def test_held_out_prompts_are_sampled_like_the_rounds_unless_told_otherwise():
    recipe = evaluated(temperatures=[0.5, 1.5])
    assert recipe.evaluation_sampling == recipe.sampling.options
    other = evaluated(temperature=0.8)
    assert other.evaluation_sampling == replace(other.sampling.options, temperature=0.8)


def test_further_temperatures_leave_a_run_valid_and_another_temperature_does_not():
    plain = evaluated(temperatures=[])
    assert evaluated(temperatures=[0.5], frontier="all").fingerprint == plain.fingerprint
    assert evaluated(temperatures=[], temperature=0.8).fingerprint != plain.fingerprint


@pytest.mark.parametrize("temperatures", [[0.0], [-1.0], [0.7, 0.7], "warm"])
def test_temperatures_are_distinct_and_above_zero(temperatures):
    with pytest.raises(RecipeError, match=r"evaluation\.temperatures"):
        evaluated(temperatures=temperatures)
