"""`orality listening-test`: make one from a run, and analyze what raters answered."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    help="Let people judge: make a test from a run, analyze the answers.", no_args_is_help=True
)


@app.command()
def make(
    run: Annotated[Path, typer.Argument(help="A run folder with an evaluation on prompts.")],
    out: Annotated[Path, typer.Option("--out", help="A new folder for the test and its key.")],
    kind: Annotated[str, typer.Option(help="mmos (rate 1 to 5) or preference (A or B).")] = "mmos",
    system: Annotated[
        list[str] | None, typer.Option("--system", help="Only these systems (repeat).")
    ] = None,
    also: Annotated[
        list[str] | None,
        typer.Option(help="NAME=FOLDER: a further system, recordings named by prompt (repeat)."),
    ] = None,
    pair: Annotated[
        list[str] | None, typer.Option(help="A=B: systems to compare, else all pairs (repeat).")
    ] = None,
    prompts: Annotated[int, typer.Option(min=1, help="How many prompts to draw.")] = 100,
    per_set: Annotated[
        int | None, typer.Option(min=1, help="Trials one rater hears; all if not given.")
    ] = None,
    checks: Annotated[
        int | None, typer.Option(min=0, help="Attention checks in a set; 1, or 2 from 10 trials.")
    ] = None,
    export: Annotated[
        list[str] | None,
        typer.Option("--for", help="page, prolific, mturk, webmushra (repeat)."),
    ] = None,
    embed: Annotated[
        bool, typer.Option(help="Recordings inside the page, or in a folder beside it.")
    ] = True,
    seed: Annotated[int | None, typer.Option(help="Draw the same again.")] = None,
    completion_code: Annotated[
        str | None, typer.Option(help="Shown at the end; Prolific wants one.")
    ] = None,
    submit_url: Annotated[
        str | None, typer.Option(help="Where the page posts answers as JSON.")
    ] = None,
    audio_url: Annotated[
        str, typer.Option(help="Where mturk/audio will lie, an https address.")
    ] = "",
    study_url: Annotated[
        str, typer.Option(help="Where prolific/index.html will lie.")
    ] = "https://example.org/index.html",
    raters: Annotated[int, typer.Option(min=1, help="Raters per set, for Prolific.")] = 10,
) -> None:
    """Make a blinded test from a run: pages to give away, and a key to keep."""
    from orality.listening import make_listening_test

    exports: Any = export or ["page"]
    pairs = [_split(text, "A=B") for text in pair or []]
    key = make_listening_test(
        run,
        out,
        kind=kind,  # type: ignore[arg-type]
        systems=system,
        pairs=pairs or None,
        also={
            name: Path(folder) for name, folder in (_split(t, "NAME=FOLDER") for t in also or [])
        },
        prompts=prompts,
        per_set=per_set,
        checks=checks,
        exports=exports,
        embed=embed,
        seed=seed,
        completion_code=completion_code,
        submit_url=submit_url,
        audio_url=audio_url,
        study_url=study_url,
        raters=raters,
    )
    hidden = sum(trial.check for trial in key.trials.values())
    print(
        f"{len(key.trials) - hidden} trials and {hidden} checks in {len(key.sets)} sets, test "
        f"{key.test}; {out / 'key.json'} says what is what: keep it to yourself"
    )
    for name in exports:
        print(out / name)


@app.command()
def analyze(
    folder: Annotated[Path, typer.Argument(help="The folder `make` made, with its key.")],
    results: Annotated[
        list[Path],
        typer.Argument(help="Answers: .json of the page, .csv of Mechanical Turk or webMUSHRA."),
    ],
    min_correlation: Annotated[
        float, typer.Option(help="Raters who agree less with the others are outliers.")
    ] = 0.25,
    allowed_failures: Annotated[
        int, typer.Option(min=0, help="Attention checks a rater may fail.")
    ] = 0,
    level: Annotated[float, typer.Option(min=0.5, max=0.999, help="Of the intervals.")] = 0.95,
) -> None:
    """Analyze answers: opinion scores or preferences, exclusions, judge against people."""
    from orality.listening import analyze_listening_test
    from orality.listening.summary import describe

    found = analyze_listening_test(
        folder,
        results,
        min_correlation=min_correlation,
        allowed_failures=allowed_failures,
        level=level,
    )
    print(describe(found))
    print(f"all of it: {folder / 'analysis'}")


def _split(text: str, form: str) -> tuple[str, str]:
    name, sign, rest = text.partition("=")
    if not (name and sign and rest):
        raise typer.BadParameter(f"expected {form}, got {text!r}")
    return name, rest
