"""The embedded default: the same tiny policy trained twice, with uniform prompts and with a learned
curriculum.

    scripts/demo                                            set-up, warm start, both runs, table, picture
    scripts/demo --curricula uniform dapo pcl oracle        other presets, as many at a time as cores
    scripts/demo --steps 400                                goes on from each run's last checkpoint

Nothing is downloaded: addition.py is the task and says what it can and cannot show. A run that was killed
goes on from its last checkpoint; one that is complete is only reported again.
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

RECIPES = Path(__file__).resolve().parent
TARGET_SHARES = (0.5, 0.8)
"""The table's two accuracies: the start plus these shares of what the baseline gains in the whole run."""


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("runs/demo"), help="folder of the runs")
    parser.add_argument(
        "--curricula", nargs="+", default=["uniform", "pcl"], help="presets; the first is the baseline"
    )
    parser.add_argument("--steps", type=int, default=150, help="optimizer steps of each run")
    parser.add_argument("--seed", type=int, default=0, help="of the runs: pool, sampling, curriculum")
    parser.add_argument(
        "--warm-start-seed", type=int, default=0, help="of the policy that every run starts from"
    )
    parser.add_argument(
        "--processes", type=int, default=os.cpu_count() or 1, help="runs at a time, a thread each"
    )
    return parser.parse_args()


def main() -> None:
    program.begin()
    arguments = parse_arguments()
    comparison = Comparison(
        config=RECIPES / "configs" / "addition.yaml",
        curricula=tuple(arguments.curricula),
        seeds=(arguments.seed,),
        budget=Budget("steps", arguments.steps),
        out=arguments.out / f"start-{arguments.warm_start_seed}",
        overrides={"warm_start": arguments.out / f"warm_start-{arguments.warm_start_seed}"},
    )
    comparison.validate()
    console = Console(width=max(Console().width, 110))
    prepare(arguments, Path(comparison.overrides["warm_start"]), console)
    console.print(
        f"Training {arguments.steps} steps each: {', '.join(arguments.curricula)} -> {comparison.out}"
    )
    outcome = train(comparison, arguments.processes, console)
    curves = {name: runs[0] for name, runs in outcome.finished().items()}
    if not curves:
        raise SystemExit(1)
    picture = comparison.out / "curves.png"
    plot_curves({name: [curve] for name, curve in curves.items()}, picture, "Reversed addition, one seed")
    console.print(make_table(curves))
    console.print(next_commands(arguments, comparison, picture), highlight=False, soft_wrap=True)
    if outcome.failed:
        raise SystemExit(1)


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


def next_commands(arguments: argparse.Namespace, comparison: Comparison, picture: Path) -> str:
    folder = comparison.runs()[-1].folder
    return f"""Picture: {picture}
Next:
  several seeds        .venv/bin/rlkit compare recipes/configs/addition.yaml --curricula uniform,pcl,dapo \\
                         --seeds 5 --budget rollouts=10000
  go on for longer     scripts/demo --steps {2 * arguments.steps}
  evaluate             .venv/bin/rlkit eval {folder}/checkpoint-* --samples 8 \\
                         --benchmarks recipes/benchmarks/addition.yaml \\
                         --data addition={arguments.out}/heldout.jsonl --out {arguments.out}/eval
  use your own model   .venv/bin/rlkit launch recipes/grpo.py \\
                         --config recipes/configs/gsm8k_qwen2.5_0.5b.yaml"""


if __name__ == "__main__":
    main()
