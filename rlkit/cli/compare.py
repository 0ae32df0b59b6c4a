"""`rlkit compare`: curricula under one budget."""

from pathlib import Path
from typing import Annotated

import typer


def compare(
    config: Annotated[Path, typer.Argument(help="A recipe's YAML file; its key `recipe` names the script.")],
    curricula: Annotated[
        str,
        typer.Option(
            help="Presets, separated by commas; the first is the baseline. rlkit:headroom=0 is one with "
            "another setting."
        ),
    ],
    budget: Annotated[str, typer.Option(help="Of each run: steps=N, rollouts=N, tokens=N or seconds=N.")],
    seeds: Annotated[int, typer.Option(help="Runs of each curriculum, with seeds from --first-seed on.")] = 5,
    first_seed: Annotated[int, typer.Option(help="The first seed.")] = 0,
    vary: Annotated[
        str | None, typer.Option(help="FIELD=A,B,...: every seed with each, as warm_start_seed=0,1.")
    ] = None,
    tune: Annotated[
        str | None,
        typer.Option(help="FIELD=A,B,...: each curriculum at its best of these, as learning_rate=1e-4,2e-4."),
    ] = None,
    tune_starts: Annotated[
        str | None, typer.Option(help="With --vary: values of its field that only tuning uses, as 0,1.")
    ] = None,
    tune_seeds: Annotated[int, typer.Option(help="Runs of each value and start in tuning.")] = 1,
    targets: Annotated[
        str | None, typer.Option(help="Accuracies, as 0.6,0.7. Default: from what the baseline gained.")
    ] = None,
    recipe: Annotated[str | None, typer.Option(help="The script, where the file names none.")] = None,
    metric: Annotated[
        str | None, typer.Option(help="TRL's held-out metric, as eval_rewards/NAME/mean.")
    ] = None,
    processes: Annotated[
        int | None, typer.Option(help="Runs at a time. Default: the cores; give 1 where they share a GPU.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder. Default: runs/compare/<config>.")] = None,
) -> None:
    """Run curricula from the same starts to the same budget, and report which one to use.

    Every preset runs with every seed, one thread a process. The file's `recipe` is relative to it (or is
    `simulated`); the script gets --curriculum, --seed, --output_dir, --budget and --max_steps, and resumes
    with --resume_from_checkpoint. Called again, it skips what is done and goes on with the rest; a larger
    budget goes on from the last checkpoints. Writes report.md, summary.json, curves.png and ratios.png. Exit
    code 1: a run failed, or all of a curriculum's in tuning.

    rlkit compare recipes/configs/addition.yaml --curricula uniform,pcl,dapo --budget rollouts=10000

    With --tune each curriculum first gets its own best value of a setting, on short runs from other starts:

    rlkit compare ... --vary warm_start_seed=20,21,22 --tune learning_rate=1e-4,2e-4,4e-4 --tune-starts 0,1
    """
    import os
    from dataclasses import replace

    from rich.console import Console

    from rlkit.arena.arm import split_arms
    from rlkit.arena.compare import compare as run
    from rlkit.arena.plan import Comparison, parse_targets, parse_vary
    from rlkit.arena.tune import parse_tune
    from rlkit.arena.tune import tune as choose
    from rlkit.settings.budget import parse_budget

    comparison = Comparison(
        config=config,
        curricula=split_arms(curricula),
        seeds=tuple(range(first_seed, first_seed + seeds)),
        budget=parse_budget(budget),
        out=Path("runs/compare") / config.stem if out is None else out,
        recipe=recipe,
        vary=None if vary is None else parse_vary(vary),
    )
    count = (os.cpu_count() or 1) if processes is None else processes
    wanted, console, tuned = parse_targets(targets), Console(), None
    if tune is not None:
        tuned = choose(comparison, parse_tune(tune, tune_seeds, tune_starts), count, console, metric)
        own = {name: {entry["field"]: entry["value"]} for name, entry in tuned.items()}
        comparison = replace(comparison, curricula=tuple(tuned), own=own)
    came_through = run(comparison, count, console, wanted, metric, tuned)
    if not came_through or len(comparison.curricula) < len(split_arms(curricula)):
        raise typer.Exit(1)
