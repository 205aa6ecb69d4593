"""Recipes: what to run, checked before anything runs."""

from orality.recipe.recipe import ROUND_STAGES, Recipe
from orality.recipe.resolved import Configured, ResolvedRecipe, kind_of

__all__ = ["ROUND_STAGES", "Configured", "Recipe", "ResolvedRecipe", "kind_of"]
