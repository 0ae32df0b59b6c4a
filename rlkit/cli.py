"""`rlkit`: the command line. Each command is a few lines around a function of the library."""

import json
from pathlib import Path
from typing import Annotated

import typer

from rlkit.curriculum import PRESETS, build_curriculum

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_show_locals=False)


@app.callback()
def _about() -> None:
    """Which prompts are worth rolling out now? Prompt curricula around TRL's GRPOTrainer."""


@app.command()
def presets() -> None:
    """List the presets: name, rule, source."""
    from rich.console import Console
    from rich.table import Table

    table = Table("preset", "rule", "source")
    for name, preset in PRESETS.items():
        table.add_row(name, preset.rule, preset.paper)
    Console().print(table)


@app.command()
def simulate(
    preset: Annotated[str, typer.Option(help="A preset's name; `rlkit presets` lists them.")] = "uniform",
    prompts: Annotated[int, typer.Option(help="Prompts in the pool.")] = 1000,
    steps: Annotated[int, typer.Option(help="Steps to run.")] = 100,
    seed: Annotated[int, typer.Option(help="Of difficulties, coin flips and choices.")] = 0,
    groups: Annotated[int, typer.Option(help="Groups in a batch.")] = 32,
    generations: Annotated[int, typer.Option(help="Completions in a group.")] = 8,
    json_out: Annotated[Path | None, typer.Option("--json", help="Write every step's numbers here.")] = None,
) -> None:
    """Run a curriculum against a policy with known success probabilities that learns."""
    from rich.console import Console
    from rich.table import Table

    from rlkit.config import CurriculumConfig
    from rlkit.hosts.simulated import SimulationConfig
    from rlkit.hosts.simulated import simulate as run

    config = SimulationConfig(
        num_prompts=prompts, num_steps=steps, groups_per_step=groups, num_generations=generations, seed=seed
    )
    history = run(build_curriculum(CurriculumConfig(curriculum=preset, curriculum_seed=seed)), config)
    columns = ("step", "accuracy", "effective ratio", "rollouts spent", "selection ms")
    table = Table(*columns, title=f"{preset}, simulated")
    shown = sorted({*range(0, steps, max(steps // 10, 1)), steps - 1})
    for row in (history[position] for position in shown):
        table.add_row(
            f"{row['step']}",
            f"{row['accuracy']:.3f}",
            f"{row['effective_ratio']:.2f}",
            f"{row['rollouts/spent_total']:.0f}",
            f"{1000 * row['seconds/selection']:.1f}",
        )
    Console().print(table)
    if json_out is not None:
        json_out.write_text(json.dumps({"preset": preset, "seed": seed, "steps": history}, indent=1))


def main() -> None:
    """Entry point: a user's mistake is one line on standard error and exit code 2, not a traceback."""
    try:
        app()
    except ValueError as error:
        typer.echo(f"rlkit: {error}", err=True)
        raise SystemExit(2) from error


if __name__ == "__main__":
    main()
