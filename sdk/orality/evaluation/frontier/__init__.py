"""Score against diversity across sampling temperatures."""
