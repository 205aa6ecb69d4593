"""A recipe's section `training` as the arguments of the methods."""

from __future__ import annotations

from typing import Any

from orality.recipe import Recipe
from orality.training.fit import Lora
from orality.training.loop import Settings
from orality.training.losses import PreferenceLoss


def loss_of(recipe: Recipe) -> PreferenceLoss:
    """The preference loss that the recipe asks for; TrainingError where its settings contradict."""
    options = recipe.training
    return PreferenceLoss(
        name=options.loss,
        beta=options.beta,
        label_smoothing=options.label_smoothing,
        margin=options.margin,
        sft_weight=options.sft_weight,
        gap=options.gap,
        gap_scale=options.gap_scale,
    )


def optimization_of(recipe: Recipe) -> dict[str, Any]:
    """What all methods have in common: `settings`, `lora` and `attention`."""
    options = recipe.training
    return {
        "settings": Settings(
            learning_rate=options.learning_rate,
            warmup_steps=options.warmup_steps,
            steps=options.steps,
            epochs=options.epochs,
            items_per_step=options.pairs_per_step,
            max_tokens=options.max_tokens,
            precision=options.precision,
            max_grad_norm=options.max_grad_norm,
            evaluate_every=options.evaluate_every,
            activation_checkpointing=options.activation_checkpointing,
            compile=options.compile,
            shard=options.shard,
            seed=recipe.seed,
        ),
        "lora": Lora(
            r=options.lora_r,
            alpha=options.lora_alpha,
            dropout=options.lora_dropout,
            targets=options.lora_targets,
        ),
        "attention": options.attention,
    }
