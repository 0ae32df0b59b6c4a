"""The demo over several warm-start seeds: accuracy, and cost to two accuracies as a ratio with a paired
interval.

    python scripts/bench_demo.py --seeds 0 1 2 3 4 --curricula uniform pcl oracle

Prints the Markdown tables of LOG.md and writes `summary.json` and `curves.png`. The first curriculum is the
baseline. The targets are set by hand, so that they do not depend on the runs. Runs that are there already
are not made again.
"""

import argparse
import json
import os
import sys
from pathlib import Path

import numpy as np
from rich.console import Console

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "recipes"))
from demo import run_all

from rlkit.report.curves import AXES, Curve, paired_ratio, read_curve
from rlkit.report.figure import plot_curves


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("runs/demo"))
    parser.add_argument("--curricula", nargs="+", default=["uniform", "pcl", "oracle"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4], help="warm-start seeds")
    parser.add_argument("--seed", type=int, default=0, help="of pool, sampling and curriculum")
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--targets", nargs=2, type=float, default=[0.6, 0.7], help="held-out accuracies")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()

    curves: dict[str, list[Curve]] = {name: [] for name in arguments.curricula}
    for warm_start_seed in arguments.seeds:
        arguments.warm_start_seed = warm_start_seed
        for name, run in run_all(arguments, Console(stderr=True)).items():
            curves[name].append(read_curve(run))
    plot_curves(
        curves, arguments.out / "curves.png", f"Reversed addition, {len(arguments.seeds)} warm starts"
    )
    summary = {name: summarize(runs, arguments) for name, runs in curves.items()}
    (arguments.out / "summary.json").write_text(json.dumps(summary, indent=1))
    print(accuracy_table(curves))
    print(cost_table(curves, arguments.targets))


def summarize(runs: list[Curve], arguments: argparse.Namespace) -> dict:
    """A curriculum's numbers, a list over the seeds each."""
    return {
        "seeds": arguments.seeds,
        "accuracy": [float(run.accuracy_E[-3:].mean()) for run in runs],
        "effective_ratio": [run.effective_ratio for run in runs],
        "cost": {
            str(target): {axis: [run.cost_to_reach(target, axis) for run in runs] for axis in AXES}
            for target in arguments.targets
        },
    }


def accuracy_table(curves: dict[str, list[Curve]]) -> str:
    lines = [
        "| curriculum | final accuracy, a seed each | mean | effective ratio | selection, share of seconds |"
    ]
    lines += ["| --- | --- | --- | --- | --- |"]
    for name, runs in curves.items():
        final = [run.accuracy_E[-3:].mean() for run in runs]
        share = np.mean([run.selection_seconds / run.cost["seconds"][-1] for run in runs])
        effective = np.mean([run.effective_ratio for run in runs])
        listed = " ".join(f"{value:.3f}" for value in final)
        lines.append(f"| {name} | {listed} | {np.mean(final):.3f} | {effective:.2f} | {share:.0%} |")
    return "\n".join(lines) + "\n"


def cost_table(curves: dict[str, list[Curve]], targets: list[float]) -> str:
    """Mean cost of the seeds that reached a target, how many did, and the paired ratio to the baseline."""
    baseline = next(iter(curves.values()))
    lines = [f"| to reach | curriculum | reached | {' | '.join(AXES)} |", "| --- " * (3 + len(AXES)) + "|"]
    for target in targets:
        for name, runs in curves.items():
            cells = []
            for axis in AXES:
                cost = [run.cost_to_reach(target, axis) for run in runs]
                ratio, low, high = paired_ratio(cost, [run.cost_to_reach(target, axis) for run in baseline])
                mean = f"{np.nanmean(cost):,.0f}" if np.isfinite(cost).any() else "-"
                verdict = ", no difference shown" if low <= 1 <= high else ""
                cells.append(
                    mean if runs is baseline else f"{mean} (x{ratio:.2f}, {low:.2f} to {high:.2f}{verdict})"
                )
            reached = sum(np.isfinite(run.cost_to_reach(target, "steps")) for run in runs)
            lines.append(f"| {target} | {name} | {reached} of {len(runs)} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
