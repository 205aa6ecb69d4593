"""Measuring spoken language models: one module per benchmark or metric family."""
