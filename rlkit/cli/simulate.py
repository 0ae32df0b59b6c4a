"""`rlkit presets` and `rlkit simulate`: curricula without a model."""

from pathlib import Path
from typing import Annotated

import typer

from rlkit.curriculum import PRESETS, build_curriculum


def presets() -> None:
    """List the presets: name, rule, source."""
    from rich.console import Console
    from rich.table import Table

    table = Table("preset", "rule", "source")
    for name, preset in PRESETS.items():
        table.add_row(name, preset.rule, preset.paper)
    Console().print(table)


def simulate(
    preset: Annotated[
        str | None, typer.Option(help="A preset's name; `rlkit presets` lists them. Default: uniform.")
    ] = None,
    prompts: Annotated[
        int | None, typer.Option(help="Prompts in the pool. Default: 1000, or the rows of --difficulties.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Steps to run. Default: 100.")] = None,
    groups: Annotated[int | None, typer.Option(help="Groups in a batch. Default: 32.")] = None,
    generations: Annotated[int | None, typer.Option(help="Completions in a group. Default: 8.")] = None,
    difficulties: Annotated[
        Path | None, typer.Option(help="A data file whose `pass_rate` column says how difficult prompts are.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Of difficulties, coin flips and choices. Default: 0.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            help="YAML file with fields of SimulationConfig and CurriculumConfig; options go first."
        ),
    ] = None,
    json_out: Annotated[
        Path | None, typer.Option("--json", help="Write settings, every step's numbers and a summary here.")
    ] = None,
) -> None:
    """Run a curriculum against a policy with known success probabilities that learns."""
    import time

    from rlkit.arena.simulated import check_json, read_file, read_settings, write_json
    from rlkit.hosts.simulated.host import prepare, run, summarize

    if json_out is not None:
        check_json(json_out)
    options = {
        "curriculum": preset,
        "num_prompts": prompts,
        "num_steps": steps,
        "groups_per_step": groups,
        "num_generations": generations,
        "difficulties": None if difficulties is None else str(difficulties),
        "seed": seed,
    }
    given = {name: value for name, value in options.items() if value is not None}
    simulation, settings = read_settings({**({} if config is None else read_file(config)), **given})
    curriculum = build_curriculum(settings)
    start = time.perf_counter()
    host = prepare(curriculum, simulation)
    ready_seconds = time.perf_counter() - start
    history = run(curriculum, host)
    summary = summarize(history, ready_seconds)

    _print_simulation(curriculum.name, history)
    typer.echo(
        f"{len(host.prompts)} prompts ready in {ready_seconds:.1f} s, at most "
        f"{summary['peak_resident_mb']:.0f} MB in memory; seconds are simulated, selection ms are real"
    )
    if json_out is not None:
        write_json(json_out, simulation, settings, history, summary)


def _print_simulation(name: str, history: list[dict]) -> None:
    """About ten of the steps as a table."""
    from rich.console import Console
    from rich.table import Table

    columns = ("step", "accuracy", "effective ratio", "rollouts spent", "seconds", "selection ms")
    table = Table(*columns, title=f"{name}, simulated")
    shown = sorted({*range(0, len(history), max(len(history) // 10, 1)), len(history) - 1})
    for row in (history[position] for position in shown):
        table.add_row(
            f"{row['step']}",
            f"{row['accuracy']:.3f}",
            f"{row['effective_ratio']:.2f}",
            f"{row['rollouts/spent_total']:.0f}",
            f"{row['seconds/total']:.0f}",
            f"{1000 * row['wall/selection']:.1f}",
        )
    Console().print(table)
