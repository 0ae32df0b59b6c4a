"""The picture of a comparison: held-out accuracy against each axis, one color a curriculum."""

from pathlib import Path

import numpy as np

from rlkit.report.curves import Curve
from rlkit.settings.budget import AXES

GRID_POINTS = 200
MOST_THIN = 4
"""Curricula up to which each run is drawn beside their mean."""


def plot_curves(curves: dict[str, list[Curve]], path: Path, title: str) -> None:
    """Writes a PNG with four panels. With several runs their mean is thick, each thin where they are few.

    Args:
        curves: curriculum -> its runs, one a seed.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(
        1, len(AXES), figsize=(4 * len(AXES), 3.8), sharey=True, layout="constrained"
    )
    colors = plt.colormaps["tab10" if len(curves) <= 10 else "tab20"].colors  # type: ignore[attr-defined]
    for panel, axis in zip(panels, AXES, strict=True):
        for number, (name, runs) in enumerate(curves.items()):
            color = colors[number % len(colors)]
            if len(runs) > 1 and len(curves) <= MOST_THIN:
                for run in runs:
                    panel.plot(run.cost[axis], run.accuracy_E, color=color, linewidth=0.8, alpha=0.3)
            panel.plot(*mean_line(runs, axis), color=color, linewidth=2.2, label=name)
        panel.set_xlim(left=0)
        panel.set_xlabel(axis if axis != "seconds" else "seconds (selection included)")
        panel.xaxis.set_major_formatter(_thousands)
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("held-out accuracy")
    panels[-1].legend(loc="lower right", fontsize="small")
    figure.suptitle(title)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def mean_line(runs: list[Curve], axis: str) -> tuple[np.ndarray, np.ndarray]:
    """Cost and mean accuracy up to where the shortest of the runs ends; one run is its own mean."""
    if len(runs) == 1:
        return runs[0].cost[axis], runs[0].accuracy_E
    grid = np.linspace(0, min(run.cost[axis][-1] for run in runs), GRID_POINTS)
    accuracy = np.mean([np.interp(grid, run.cost[axis], run.accuracy_E) for run in runs], axis=0)
    return grid, accuracy


def _thousands(value: float, _position: int) -> str:
    """12000 -> "12k" """
    return f"{value / 1000:g}k" if abs(value) >= 10_000 else f"{value:g}"
