"""One module for each form that a corpus is stored in."""
