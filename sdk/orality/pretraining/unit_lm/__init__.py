"""A language model over speech units."""
