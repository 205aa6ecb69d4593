"""Loading and running torch models, for plugins."""
