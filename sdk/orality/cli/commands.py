"""The commands, one function each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from orality.cli import listening_test, tables
from orality.cli.naming import folder_name, shown
from orality.cli.progress import show_progress
from orality.cli.push import push
from orality.cli.stories import stories
from orality.cli.tracking import TrackOption, with_trackers
from orality.cli.training_warnings import show_warnings
from orality.untrusted.escaping import for_terminal

app = typer.Typer(
    help="Align spoken language models with AI feedback.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(tables.tables)
app.add_typer(listening_test.app, name="listening-test")
app.command()(push)
app.command()(stories)
console = Console(stderr=True)

RecipeArgument = Annotated[str, typer.Argument(help="A recipe file, or a shipped recipe's name.")]
OutOption = Annotated[
    Path | None, typer.Option("--out", help="The run folder; runs/NAME if not given.")
]
CorpusOption = Annotated[
    str | None,
    typer.Option("--corpus", help="A folder, manifest or dataset, instead of the recipe's."),
]
FixedOption = Annotated[
    bool, typer.Option("--fixed-3s", help="Cut prompts at 3 s sharp, as TWIST does.")
]
WorkersOption = Annotated[
    int, typer.Option("--workers", min=1, help="Processes that make pairs, one for each device.")
]
RayOption = Annotated[
    str | None,
    typer.Option("--ray", help="Make pairs on a Ray cluster: its address, `auto`, or `local`."),
]


@app.command()
def align(
    recipe: RecipeArgument = "tiny",
    out: OutOption = None,
    corpus: CorpusOption = None,
    fixed_3s: FixedOption = False,
    workers: WorkersOption = 1,
    ray: RayOption = None,
    track: TrackOption = None,
) -> None:
    """Run a whole recipe: pairs, training, curriculum, evaluation, report."""
    from orality.run import align as run_align

    chosen, folder = _recipe(recipe, out, corpus, fixed_3s, track)
    console.print(f"recipe [bold]{shown(chosen.name)}[/], run folder [bold]{shown(folder)}[/]")
    with show_progress(console) as progress:
        run_align(chosen, folder, progress=progress, workers=_workers(workers, ray))
    print(for_terminal((folder / "table.md").read_text(encoding="utf-8")))
    show_warnings(console, folder)
    console.print(f"listen to the results: [bold]{shown(folder / 'report.html')}[/]")


@app.command()
def pairs(
    recipe: RecipeArgument,
    out: OutOption = None,
    corpus: CorpusOption = None,
    fixed_3s: FixedOption = False,
    workers: WorkersOption = 1,
    ray: RayOption = None,
    track: TrackOption = None,
    reselect: Annotated[
        bool, typer.Option("--reselect", help="Only select anew from what the run has judged.")
    ] = False,
    rejected: Annotated[
        str | None, typer.Option(help="With --reselect: rejected scores end at 2, 30% or auto.")
    ] = None,
    chosen: Annotated[
        str | None, typer.Option(help="With --reselect: chosen scores begin at 4, 70% or auto.")
    ] = None,
    max_auto_bleu: Annotated[
        float | None, typer.Option(help="With --reselect: what repeats itself more is rejected.")
    ] = None,
    judge: Annotated[
        str | None, typer.Option(help="With --reselect: the further judge whose scores decide.")
    ] = None,
    by: Annotated[str | None, typer.Option(help="With --reselect: score or perplexity.")] = None,
    round: Annotated[
        int | None, typer.Option(min=1, help="With --reselect: of which round; the first if none.")
    ] = None,
) -> None:
    """Make the first round's preference pairs, or select them anew with other thresholds."""
    from orality.run import build_pairs, reselect_pairs
    from orality.store import count_records

    chosen_recipe, folder = _recipe(recipe, out, corpus, fixed_3s, track)
    if reselect:
        made = reselect_pairs(
            chosen_recipe, folder, round=round or 1, rejected=rejected, chosen=chosen,
            max_auto_bleu=max_auto_bleu, judge=judge, by=by or "score",
        )  # fmt: skip
    elif {rejected, chosen, max_auto_bleu, judge, by, round} != {None}:
        raise typer.BadParameter("what is selected is the recipe's; give others with --reselect")
    else:
        with show_progress(console) as progress:
            team = _workers(workers, ray)
            made = build_pairs(chosen_recipe, folder, progress=progress, workers=team)
    print(f"{count_records(made)} pairs in {made}")


@app.command()
def train(
    recipe: RecipeArgument,
    pairs: Annotated[Path, typer.Argument(help="A folder of pair shards, as `pairs` makes it.")],
    out: Annotated[Path, typer.Option("--out", help="Where the adapter goes.")],
    track: TrackOption = None,
) -> None:
    """Train an adapter on stored pairs."""
    from orality.run import train as run_train

    chosen, _ = _recipe(recipe, out, None, track=track)
    with show_progress(console) as progress:
        adapter = run_train(chosen, pairs, out, progress=progress)
    print(f"the adapter is in {adapter}")


@app.command()
def evaluate(
    recipe: RecipeArgument,
    out: OutOption = None,
    corpus: CorpusOption = None,
    fixed_3s: FixedOption = False,
    track: TrackOption = None,
) -> None:
    """Measure the pre-trained model and every adapter of a run."""
    from orality.run import evaluate as run_evaluate

    chosen, folder = _recipe(recipe, out, corpus, fixed_3s, track)
    with show_progress(console) as progress:
        run_evaluate(chosen, folder, progress=progress)
    print(for_terminal((folder / "table.md").read_text(encoding="utf-8")))


@app.command()
def report(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    prompts: Annotated[
        int, typer.Option(min=0, help="Prompts to listen to, of training and evaluation each.")
    ] = 40,
    audio_mb: Annotated[
        float, typer.Option("--audio-mb", min=0, help="Speech in the page, at most, in megabytes.")
    ] = 24.0,
) -> None:
    """Write the tables, the figures and the page to listen to from what a run has stored."""
    from orality.report import write_report

    print(write_report(run, max_prompts=prompts, audio_megabytes=audio_mb))


@app.command()
def inspect(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    examples: Annotated[int, typer.Option(min=0, help="Continuations to show of each end.")] = 3,
) -> None:
    """Show what is judged so far: scores, repetition, and what other thresholds would yield."""
    from orality.report import describe_rounds

    print(describe_rounds(run, examples=examples))


@app.command()
def plan(
    recipe: RecipeArgument,
    corpus: CorpusOption = None,
    prompts: Annotated[
        int | None, typer.Option(min=1, help="How many prompts; the recipe's, or all recordings.")
    ] = None,
    samples: Annotated[
        int | None, typer.Option(min=1, help="Continuations of each; the recipe's if not given.")
    ] = None,
    devices: Annotated[str, typer.Option(help="Numbers of devices to plan for.")] = "1,8,64",
    calibrate: Annotated[int, typer.Option(min=8, help="Prompts to measure with.")] = 32,
    run: Annotated[
        Path | None, typer.Option("--from", help="A run to take the figures from instead.")
    ] = None,
    rates: Annotated[
        Path | None, typer.Option(help="A JSON file to take the figures from instead.")
    ] = None,
    paid: Annotated[
        bool, typer.Option("--paid", help="Ask judges behind a server too, at their price.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with the rates.")] = False,
) -> None:
    """Estimate hours, devices, disk and judge cost of one round of pairs for a corpus."""
    from orality.planning import plan_recipe

    if run is not None and rates is not None:
        raise typer.BadParameter("give --from or --rates, not both")
    try:
        counts = [int(count) for count in devices.split(",")]
    except ValueError:
        counts = [0]
    if min(counts) < 1:
        raise typer.BadParameter(f"--devices takes numbers like 1,8,64, got {devices!r}")
    chosen, _ = _recipe(recipe, None, corpus)
    with show_progress(console) as progress:
        planned = plan_recipe(
            chosen,
            prompts=prompts,
            samples=samples,
            devices=counts,
            calibration=calibrate,
            run=run,
            rates=rates,
            paid=paid,
            progress=progress,
        )
    print(planned.json() if as_json else planned.table())


@app.command()
def plugins() -> None:
    """List the components that are installed, and what is wrong with the rest."""
    from orality.plugins import load

    registry = load()
    table = Table("plugin", "distribution", "version", "status", "provides")
    for status in sorted(registry.statuses, key=lambda item: item.name):
        provides = ", ".join(status.provides) or status.detail
        cells = (status.name, status.distribution, status.version, status.status, provides)
        table.add_row(*map(shown, cells))
    Console().print(table)


@app.command()
def check(recipe: RecipeArgument, corpus: CorpusOption = None) -> None:
    """Check a recipe and that its components fit, without reading any weight."""
    chosen, _ = _recipe(recipe, None, corpus)
    spec, config = chosen.check().slm
    units = spec.describe(config)
    print(for_terminal(f"{chosen.name}: fine" + ("" if units is None else f" ({units.codebook})")))


@app.command()
def pretrain(
    recipe: Annotated[str, typer.Argument(help="A pretraining recipe: a file, or `tiny`.")],
    out: OutOption = None,
    corpus: CorpusOption = None,
) -> None:
    """Make a stack of one's own: tokenizer, unit language model, unit vocoder."""
    from orality.pretraining import pretrain as run_pretrain

    folder = out or Path("runs") / f"pretrain-{Path(recipe).stem}"
    options: dict[str, Any] = {} if corpus is None else {"corpus": corpus}
    with show_progress(console) as progress:
        made = run_pretrain(recipe, folder, progress=progress, **options)
    print(f"the stack is in {made}")


def _recipe(
    recipe: str,
    out: Path | None,
    corpus: str | None,
    fixed_3s: bool = False,
    track: list[str] | None = None,
) -> tuple[Any, Path]:
    from orality.recipe import Recipe

    chosen = Recipe.load(recipe)
    if corpus is not None:
        chosen = chosen.with_corpus(corpus)
    chosen = with_trackers(chosen, track)
    if fixed_3s:
        chosen = chosen.with_fixed_cut(3.0)
    return chosen, out or Path("runs") / folder_name(chosen.name)


def _workers(count: int, ray: str | None) -> Any:
    from orality.run.workers import work_in_processes

    if ray is not None:
        if count > 1:
            raise typer.BadParameter("give --workers or --ray, not both")
        from orality.run.workers.ray_cluster import work_on_ray

        return work_on_ray(ray)
    return None if count == 1 else work_in_processes(count)
