"""Where recipes are: files, and those that come with the package, by name."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from orality.errors import RecipeError


def shipped_recipes() -> list[str]:
    """Names of the recipes that come with the package."""
    folder = resources.files("orality") / "recipes"
    return sorted(Path(item.name).stem for item in folder.iterdir() if item.name.endswith(".yaml"))


def locate(source: str | Path) -> Path:
    """The file of a recipe that is given by its path or name; RecipeError lists those there are."""
    path = Path(source)
    if path.is_file():
        return path
    if path.suffix in {".yaml", ".yml"} or len(path.parts) > 1:
        raise RecipeError(f"there is no recipe file {source}")
    if str(source) in shipped_recipes():
        return Path(str(resources.files("orality") / "recipes" / f"{source}.yaml"))
    known = ", ".join(shipped_recipes())
    raise RecipeError(f"no recipe is called {str(source)!r}; give a path, or one of {known}")
