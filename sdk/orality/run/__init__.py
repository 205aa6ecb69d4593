"""A recipe at work in a run folder: pairs, training, rounds, evaluation."""

from orality.run.curriculum import align, build_pairs, evaluate, reselect_pairs, train

__all__ = ["align", "build_pairs", "evaluate", "reselect_pairs", "train"]
