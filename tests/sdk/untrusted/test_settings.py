from __future__ import annotations

from pathlib import Path

import pytest

from orality import Recipe, RecipeError, load
from orality.plugins import Registry

PLUGINS = load()


def path_fields(registry: Registry) -> list[tuple[str, str, str]]:
    """Every setting of every installed component whose name says that it is a file or folder."""
    words = ("checkpoint", "calibration", "folder", "path", "file", "rubric", "cache")
    return [
        (item.kind, item.spec.name, field)
        for item in registry.components
        for field, info in item.spec.config.model_fields.items()
        if field in words and "str" in str(info.annotation)
    ]


@pytest.mark.parametrize(("kind", "name", "field"), path_fields(PLUGINS))
def test_settings_that_name_a_file_take_a_path_and_a_string(kind, name, field):
    as_text = {field: "some/folder"}
    as_path = {field: Path("some/folder")}
    component = PLUGINS.find(kind, name)
    try:
        wanted = component.spec.config(**as_text)
    except ValueError:  # another setting is needed too, with either form
        with pytest.raises(RecipeError):
            PLUGINS.configure(kind, name, **as_path)
        return
    assert PLUGINS.configure(kind, name, **as_path)[1] == wanted


def test_every_component_with_a_checkpoint_is_tried():
    tried = {(kind, name) for kind, name, _ in path_fields(PLUGINS)}
    assert {("slm", "twist"), ("tokenizer", "hubert"), ("judge", "likelihood")} <= tried


def test_a_recipe_takes_paths_at_any_depth_and_writes_them_as_text():
    data = Recipe.load("toy").model_dump()
    data["corpus"]["path"] = Path("speech")
    data["judge"] = {"name": "toy", "folders": [Path("a"), {"b": Path("c")}]}
    recipe = Recipe.parse(data)
    assert recipe.corpus.path == "speech"
    assert recipe.judge.config == {"folders": ["a", {"b": "c"}]}
    assert "folders:\n  - a\n  - b: c\n" in recipe.dump()
    assert recipe.with_corpus(Path("speech")) == recipe
