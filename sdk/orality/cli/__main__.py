"""`python -m orality.cli` does what the command `orality` does."""

from orality.cli import main

main()
