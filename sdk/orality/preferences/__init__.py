"""Preference pairs: ties among them, and shortcuts that order them without listening."""
