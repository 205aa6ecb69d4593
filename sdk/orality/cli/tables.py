"""`orality tables`: the tables of stored runs, without measuring anything again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def tables(
    runs: Annotated[
        list[Path], typer.Argument(help="A run folder; several of one recipe are pooled by seed.")
    ],
    published: Annotated[
        str | None,
        typer.Option(help="Published figures to show beside: a YAML or JSON file, or `align-slm`."),
    ] = None,
    group: Annotated[
        str, typer.Option(help="The heading of our systems among the published, as `1.3B`.")
    ] = "",
    out: Annotated[
        Path | None, typer.Option("--out", help="Where to; the run if not given.")
    ] = None,
) -> None:
    """Write all tables (Markdown, LaTeX, CSV) from what runs have stored."""
    from orality.evaluation import read_published, regenerate_tables

    found = read_published(published) if published is not None else None
    for path in regenerate_tables(runs, published=found, group=group, out=out):
        print(path)
