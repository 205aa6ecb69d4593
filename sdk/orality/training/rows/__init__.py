"""Continuations packed into rows that share their prompts."""
