"""Likelihoods of recordings under a speech language model, and accuracies of pairs."""
