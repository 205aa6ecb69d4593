"""`orality push`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Texts = list[str] | None


def push(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    to: Annotated[
        list[str],
        typer.Option(
            "--to",
            help="A folder, hf:OWNER/NAME (the adapter) or hf:datasets/OWNER/NAME (the pairs); "
            "may be given several times.",
        ),
    ],
    system: Annotated[
        str | None, typer.Option(help="Which system; the last aligned round if not given.")
    ] = None,
    license: Annotated[
        Texts,
        typer.Option(help="The adapter's license, or PLACE=LICENSE: data, slm, judge, ..."),
    ] = None,
    base_model: Annotated[
        str | None, typer.Option(help="The base model's repository on the Hub: OWNER/NAME.")
    ] = None,
    dataset: Annotated[
        Texts, typer.Option(help="A repository on the Hub that holds training data.")
    ] = None,
    benchmark: Annotated[
        Texts, typer.Option(help="Where a benchmark is on the Hub: NAME=OWNER/NAME#TASK.")
    ] = None,
    audio: Annotated[
        bool, typer.Option("--audio", help="Share the pairs' recordings too.")
    ] = False,
    public: Annotated[bool, typer.Option("--public", help="Make new repositories public.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Write over what is no push of the same run.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List what would be shared, and share nothing.")
    ] = False,
) -> None:
    """Share a run: the adapter with its card and results, and the preference pairs."""
    from orality.sharing import Sharing
    from orality.sharing import push as run_push

    licenses = {}
    for row in license or ():
        place, given, name = row.rpartition("=")
        licenses[place if given else "model"] = name
    sharing = Sharing(
        system=system, licenses=licenses, base_model=base_model, datasets=dataset or (),
        benchmarks=benchmark or (), audio=audio,
    )  # fmt: skip
    for line in run_push(
        run, to, sharing=sharing, public=public, force=force, dry_run=dry_run
    ):  # fmt: skip
        print(line)
