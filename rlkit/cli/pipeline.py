"""`rlkit pipeline`: a plan of stages, from a base model to a result."""

import signal
import sys
from pathlib import Path
from typing import Annotated

import typer


def pipeline(
    context: typer.Context,
    plan: Annotated[Path, typer.Argument(help="A YAML file; recipes/plans/ has some.", show_default=False)],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would run, and why.")] = False,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="NAME=VALUE, a value of the plan, or STAGE.KEY=VALUE, a setting."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder. Default: the plan's, or runs/<plan>.")] = None,
) -> None:
    """Run the stages of a plan that are not done, one after the other, and write a page of their numbers.

    A stage is done if its inputs, settings and outputs are as recorded. Called again after a kill, it goes
    on, also inside of a stage that can. docs/pipeline.md: what a plan may hold. Exit code 1: a stage failed.

    rlkit pipeline recipes/plans/tulu3.yaml --set model=Qwen/Qwen2.5-0.5B --set rl.max_steps=200 --dry-run
    """
    from rich.console import Console

    from rlkit.pipeline.build import read_plan
    from rlkit.pipeline.display import Progress, show
    from rlkit.pipeline.named import unwatched_folders
    from rlkit.pipeline.page import write_page
    from rlkit.pipeline.pipeline import Pipeline, StageError
    from rlkit.pipeline.settings import check_settings

    read = read_plan(plan, changes or [], out)
    check_settings(read, _settings(context))
    found = Pipeline(read)
    console = Console()
    looks = found.look()
    show(looks, console)
    for line in unwatched_folders(read):
        typer.echo(f"note: {line}", err=True)
    if dry_run:
        return
    signal.signal(
        signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM)
    )  # a preemption ends the stage too
    problem = None
    try:
        with Progress(looks, console) as progress:
            found.run(progress.told)
    except StageError as error:
        problem = str(error)
    typer.echo(f"written to {write_page(found, problem)}")
    if problem is not None:
        typer.echo(f"rlkit: {problem}", err=True)
        raise typer.Exit(1)


def _settings(context: typer.Context) -> dict[str, set[str]]:
    """The settings of each command of `rlkit`, by its name."""
    commands: dict = context.find_root().command.commands  # type: ignore[attr-defined] - it is a group's
    return {
        name: {word.lstrip("-").replace("-", "_") for each in command.params for word in each.opts}
        for name, command in commands.items()
    }
