"""A run folder as typed records."""
