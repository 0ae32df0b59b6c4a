"""`rlkit`: the command line. Each command is a few lines around a function of the library."""

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

    from rlkit.arena.simulated import read_file, read_settings, write_json
    from rlkit.hosts.simulated import prepare, run, summarize

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


@app.command()
def compare(
    config: Annotated[Path, typer.Argument(help="A recipe's YAML file; its key `recipe` names the script.")],
    curricula: Annotated[str, typer.Option(help="Presets, separated by commas; the first is the baseline.")],
    budget: Annotated[str, typer.Option(help="Of each run: steps=N, rollouts=N, tokens=N or seconds=N.")],
    seeds: Annotated[int, typer.Option(help="Runs of each curriculum, with seeds from --first-seed on.")] = 5,
    first_seed: Annotated[int, typer.Option(help="The first seed.")] = 0,
    vary: Annotated[
        str | None, typer.Option(help="FIELD=A,B,...: every seed with each, as warm_start_seed=0,1.")
    ] = None,
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
    budget goes on from the last checkpoints. Writes report.md, summary.json and curves.png. Exit code 1: a
    run failed.

    rlkit compare recipes/configs/addition.yaml --curricula uniform,pcl,dapo --budget rollouts=10000
    """
    import os

    from rich.console import Console

    from rlkit.arena.compare import compare as run
    from rlkit.arena.plan import Comparison, parse_targets, parse_vary
    from rlkit.budget import parse_budget

    comparison = Comparison(
        config=config,
        curricula=tuple(name.strip() for name in curricula.split(",")),
        seeds=tuple(range(first_seed, first_seed + seeds)),
        budget=parse_budget(budget),
        out=Path("runs/compare") / config.stem if out is None else out,
        recipe=recipe,
        vary=None if vary is None else parse_vary(vary),
    )
    count = (os.cpu_count() or 1) if processes is None else processes
    if not run(comparison, count, Console(), parse_targets(targets), metric):
        raise typer.Exit(1)


@app.command("eval")
def evaluate(
    model: Annotated[str, typer.Argument(help="A checkpoint, a PEFT adapter's folder, or a Hub id.")],
    dataset: Annotated[Path, typer.Option(help="A .jsonl, .json or .parquet file.")],
    reward: Annotated[str, typer.Option(help="path/to/file.py:function or package.module:function.")],
    prompt_column: Annotated[str, typer.Option(help="Text to ask where rows have no `prompt`.")] = "question",
    instruction: Annotated[str | None, typer.Option(help="Put below the text in the user's message.")] = None,
    num_samples: Annotated[int, typer.Option(help="Completions a problem; pass@k up to this k.")] = 1,
    max_new_tokens: Annotated[
        int, typer.Option(help="A longer completion is cut and counts as truncated.")
    ] = 512,
    temperature: Annotated[float, typer.Option(help="0 takes the most likely token.")] = 1.0,
    batch_size: Annotated[int, typer.Option(help="Completions generated at once, without vLLM.")] = 16,
    limit: Annotated[int | None, typer.Option(help="Only the first rows.")] = None,
    seed: Annotated[int, typer.Option(help="Of the sampling and of the intervals.")] = 0,
    vllm: Annotated[bool, typer.Option(help="Generate with vLLM in this process.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for summary.json and completions.jsonl.")] = None,
) -> None:
    """Sample a saved model on a data file, grade it, and say how sure the numbers are."""
    from rlkit.data import read_rows, to_prompt_rows
    from rlkit.verify.load import load_reward

    rows = read_rows(dataset)[:limit]
    if "prompt" not in rows[0]:
        rows = to_prompt_rows(rows, prompt_column, instruction=instruction)
    grader = load_reward(reward)

    from rlkit.evaluate.checkpoint import evaluate_checkpoint

    result = evaluate_checkpoint(
        model,
        rows,
        grader,
        num_samples=num_samples,
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        batch_size=batch_size,
        seed=seed,
        use_vllm=vllm,
        out=out,
    )
    low, high = result.accuracy_interval
    typer.echo(
        f"accuracy {result.accuracy:.3f} (95% interval {low:.3f} to {high:.3f}), "
        f"{result.num_problems} problems"
    )
    for k, value in result.pass_at_k.items():
        low, high = result.pass_at_k_interval[k]
        typer.echo(f"pass@{k} {value:.3f} ({low:.3f} to {high:.3f})")
    typer.echo(
        f"{result.mean_tokens:.1f} tokens a completion, {result.truncated_share:.1%} truncated, "
        f"{result.num_unscorable} unscorable, {result.seconds:.1f} s"
    )


def main() -> None:
    """Entry point: a user's mistake is one line on standard error and exit code 2, not a traceback."""
    try:
        app()
    except ValueError as error:
        typer.echo(f"rlkit: {error}", err=True)
        raise SystemExit(2) from error


if __name__ == "__main__":
    main()
