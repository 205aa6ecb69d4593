"""The option `--track` of all commands that run something."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from orality.recipe import Recipe

TrackOption = Annotated[
    list[str] | None,
    typer.Option(
        "--track",
        help="Follow with tensorboard, trackio, wandb or mlflow, instead of the recipe's trackers; "
        "may be given several times.",
    ),
]


def with_trackers(recipe: Recipe, names: list[str] | None) -> Recipe:
    """The recipe with the named trackers in place of its own; those it has keep their settings."""
    if not names:
        return recipe
    from orality.errors import RecipeError
    from orality.tracking import TRACKERS

    unknown = sorted(set(names) - set(TRACKERS))
    if unknown:
        raise RecipeError(
            f"no tracker is called {', '.join(unknown)}; choose from {', '.join(TRACKERS)}"
        )
    own: dict[str, Any] = {options.name: options.model_dump() for options in recipe.tracking}
    chosen = [own.get(name, {"name": name}) for name in dict.fromkeys(names)]
    return recipe.with_trackers(chosen)
