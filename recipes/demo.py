"""The embedded default: the same tiny policy trained twice, with uniform prompts and with a learned
curriculum.

    scripts/demo                                      set-up, warm start, both runs side by side, table,
    picture scripts/demo --curricula uniform dapo pcl oracle  other presets, as many at a time as there are
    cores scripts/demo --steps 400                          goes on from each run's last checkpoint

Nothing is downloaded: addition.py is the task and says what it can and cannot show. A run that was killed
goes on from its last checkpoint; one that is complete is only reported again.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.console import Console
from rich.table import Table

from rlkit.curriculum.presets import resolve_config
from rlkit.report.curves import AXES, Curve, read_curve
from rlkit.report.figure import plot_curves

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
    arguments = parse_arguments()
    for curriculum in arguments.curricula:
        resolve_config(curriculum)
    console = Console(width=max(Console().width, 110))
    runs = run_all(arguments, console)
    curves = {name: read_curve(run) for name, run in runs.items()}
    picture = arguments.out / "curves.png"
    plot_curves({name: [curve] for name, curve in curves.items()}, picture, "Reversed addition, one seed")
    console.print(make_table(curves))
    console.print(next_commands(arguments, picture), highlight=False, soft_wrap=True)


def run_all(arguments: argparse.Namespace, console: Console) -> dict[str, Path]:
    """Makes the warm start, then runs every curriculum from it in its own process. Returns their folders."""
    start = arguments.out / f"warm_start-{arguments.warm_start_seed}"
    if not start.exists():
        console.print(f"Warm start: supervised learning of the tiny policy, about a minute -> {start}")
        from addition import warm_start

        start.parent.mkdir(parents=True, exist_ok=True)
        warm_start(start, arguments.warm_start_seed)
    write_heldout(arguments.out / "heldout.jsonl")
    folder = arguments.out / f"start-{arguments.warm_start_seed}-seed-{arguments.seed}"
    runs = {name: folder / name for name in arguments.curricula}
    console.print(f"Training {arguments.steps} steps each: {', '.join(runs)} -> {folder}")
    with ThreadPoolExecutor(arguments.processes) as executor:
        futures = [executor.submit(run_one, arguments, name, start, run) for name, run in runs.items()]
        for future in futures:
            future.result()
    return runs


def write_heldout(path: Path) -> None:
    """The held-out problems as a file, for `rlkit eval`."""
    from addition import make_problems

    path.write_text("".join(f"{json.dumps(row)}\n" for row in make_problems(256, seed=1, split="heldout")))


def run_one(arguments: argparse.Namespace, curriculum: str, start: Path, run: Path) -> None:
    """Trains one run to `--steps`; a run that is there already is left as it is."""
    if steps_done(run) >= arguments.steps:
        return
    settings = {
        "config": RECIPES / "configs" / "addition.yaml",
        "curriculum": curriculum,
        "warm_start": start,
        "output_dir": run,
        "max_steps": arguments.steps,
        "seed": arguments.seed,
    }
    command = [sys.executable, str(RECIPES / "train_addition.py")]
    command += [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    log = run.with_suffix(".log")
    log.parent.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    with log.open("w") as output:
        finished = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, check=False)
    if finished.returncode:
        lines = log.read_text().splitlines()
        raise SystemExit(f"{curriculum} failed, see {log}:\n" + "\n".join(lines[-5:]))
    (run / "wall.json").write_text(json.dumps({"seconds": time.perf_counter() - began}))


def steps_done(run: Path) -> int:
    """Steps of a run that are in its last checkpoint."""
    return max((int(path.name.split("-")[1]) for path in run.glob("checkpoint-*")), default=0)


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


def next_commands(arguments: argparse.Namespace, picture: Path) -> str:
    run = arguments.out / f"start-{arguments.warm_start_seed}-seed-{arguments.seed}" / arguments.curricula[-1]
    checkpoint = run / f"checkpoint-{steps_done(run)}"
    return f"""Picture: {picture}
Next:
  go on for longer     scripts/demo --steps {2 * arguments.steps}
  evaluate             .venv/bin/rlkit eval {checkpoint} --dataset {arguments.out}/heldout.jsonl \\
                         --reward recipes/addition.py:reward --num-samples 4 --max-new-tokens 10
  use your own model   .venv/bin/accelerate launch recipes/grpo.py --config
  recipes/configs/gsm8k_qwen2.5_0.5b.yaml"""


if __name__ == "__main__":
    main()
