"""Which language each component of a recipe hears, writes and reads."""

from typing import ClassVar

import pytest

from orality.errors import CompatibilityError
from orality.plugins import Component, Registry, load
from orality.recipe import Recipe
from orality.run.components import Components
from orality.specs import ComponentConfig, JudgeSpec, TranscriberSpec


class Following(ComponentConfig):
    language_of_recipe: ClassVar[bool] = True
    language: str | None = None


class Fixed(ComponentConfig):
    language: str = "en"


@pytest.fixture
def registry():
    found = load()
    own = [
        ("transcriber", TranscriberSpec(
            name="follows", config=Following, build=lambda config: config,
            languages=lambda c: frozenset({c.language}) if c.language else None,
            output_language=lambda c: c.language)),
        ("transcriber", TranscriberSpec(
            name="fixed", config=Fixed, build=lambda config: config,
            languages=lambda c: frozenset({c.language}), output_language=lambda c: c.language)),
        ("judge", JudgeSpec(
            name="reads-any", config=Fixed, build=lambda config: config,
            reads=frozenset({"text"}), scale=(1.0, 5.0))),
        ("judge", JudgeSpec(
            name="reads-one", config=Fixed, build=lambda config: config,
            reads=frozenset({"text"}), scale=(1.0, 5.0),
            languages=lambda c: frozenset({c.language}))),
    ]  # fmt: skip
    made = tuple(Component(kind, spec, "tests", "1") for kind, spec in own)
    return Registry(found.components + made, found.statuses)


@pytest.fixture
def recipe_in():
    def make(language, **changes):
        toy = Recipe.load("toy").model_dump()
        toy |= {"language": language, "transcriber": {"name": "follows"},
                "judge": {"name": "reads-any"}}  # fmt: skip
        for place, choice in changes.items():
            section, _, key = place.rpartition("__")
            (toy[section] if section else toy)[key] = choice
        return Recipe.parse(toy)

    return make


@pytest.mark.parametrize("place", ["transcriber", "corpus__transcriber", "evaluation__transcriber"])
@pytest.mark.parametrize("language", ["de", "de-AT", "German"])
def test_a_transcriber_without_a_language_hears_the_recipe_s(recipe_in, registry, place, language):
    recipe = recipe_in(language, **{place: {"name": "follows"}})
    recipe.check(registry)
    parts = Components(recipe.resolve(registry))
    built = {"transcriber": "transcriber", "corpus__transcriber": "corpus_transcriber",
             "evaluation__transcriber": "evaluation_transcriber"}[place]  # fmt: skip
    assert getattr(parts, built).language == "de"


@pytest.mark.parametrize(
    ("place", "choice"),
    [
        ("transcriber", {"name": "fixed"}),
        ("transcriber", {"name": "follows", "language": "en"}),
        ("corpus__transcriber", {"name": "fixed"}),
        ("evaluation__transcriber", {"name": "fixed"}),
        ("evaluation__judge", {"name": "reads-one"}),
        ("judge", {"name": "reads-one"}),
        ("further_judges", {"second": {"name": "reads-one"}}),
        ("evaluation__further_judges", {"third": {"name": "reads-one"}}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_knows_another_language_alone_is_named_before_anything_starts(
    recipe_in, registry, place, choice
):
    recipe = recipe_in("fi", **{place: choice})
    with pytest.raises(CompatibilityError, match="'fi'"):
        recipe.check(registry)
    recipe_in("en", **{place: choice}).check(registry)


def test_a_translation_is_read_by_judges_of_its_own_language(recipe_in, registry):
    recipe = recipe_in("fi", transcriber={"name": "whisper", "checkpoint": "large-v3",
                                          "task": "translate"},
                       judge={"name": "reads-one"})  # fmt: skip
    recipe.check(registry)
    resolved = recipe.resolve(registry)
    assert resolved.written_language(resolved.parts["transcriber"]) == "en"


def test_whisper_follows_the_recipe_and_is_english_without_one(recipe_in, registry):
    def hears(spoken, **config):
        recipe = recipe_in(spoken, transcriber={"name": "whisper", **config})
        spec, settings = recipe.resolve(registry).parts["transcriber"].pair
        return spec.languages(settings), spec.output_language(settings)

    assert hears("ja-JP", checkpoint="large-v3") == ({"ja"}, "ja")
    assert hears("ja", checkpoint="large-v3", language="ko") == ({"ko"}, "ko")
    assert hears("ja", checkpoint="tiny.en")[0] == {"en"}


def test_the_fingerprint_is_that_of_runs_before_the_option(recipe_in):
    recipe = recipe_in("en")
    kept = recipe.model_copy(
        update={"corpus": recipe.corpus.model_copy(update={"other_languages": "keep"})}
    )
    assert recipe.fingerprint != kept.fingerprint
