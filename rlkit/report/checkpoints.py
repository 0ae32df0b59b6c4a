"""The picture of runs' checkpoints: accuracy and tokens of each benchmark against the training step."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PANELS_IN_A_ROW = 4

Lines = dict[str, list["Point"]]
"""A run's name -> its checkpoints."""


@dataclass(frozen=True, slots=True)
class Point:
    """One checkpoint on one benchmark: accuracy, its 95% interval (both 0 to 1), mean tokens a completion."""

    step: int
    accuracy: float
    interval: tuple[float, float]
    mean_tokens: float


def checkpoint_lines(records: Sequence[Mapping[str, Any]], steps: Mapping[str, int]) -> dict[str, Lines]:
    """For each benchmark the runs of which several checkpoints were evaluated, in order of steps.

    Args:
        records: of `rlkit eval`'s summary.json.
        steps: the step of each model that is a checkpoint; its run is the folder that holds it.
    """
    known = [record for record in records if record["model"] in steps]
    folders = dict.fromkeys(Path(record["model"]).parent for record in known)
    same_name = len({folder.name for folder in folders}) < len(folders)
    lines: dict[str, Lines] = {}
    for record in sorted(known, key=lambda record: steps[record["model"]]):
        folder = Path(record["model"]).parent
        run = lines.setdefault(record["benchmark"], {}).setdefault(
            str(folder) if same_name else folder.name, []
        )
        low, high = record["accuracy_interval"]
        run.append(Point(steps[record["model"]], record["accuracy"], (low, high), record["mean_tokens"]))
    several = {
        benchmark: {run: points for run, points in runs.items() if len(points) > 1}
        for benchmark, runs in lines.items()
    }
    return {benchmark: runs for benchmark, runs in several.items() if runs}


def plot_checkpoints(benchmarks: Mapping[str, Lines], path: Path, title: str) -> None:
    """Writes a PNG: for each benchmark accuracy with its interval, and below it the mean tokens."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    rows = math.ceil(len(benchmarks) / PANELS_IN_A_ROW)
    columns = math.ceil(len(benchmarks) / rows)
    figure, panels = plt.subplots(
        2 * rows,
        columns,
        figsize=(max(3.4 * columns, 5.0), 3.8 * rows + 0.4),
        height_ratios=[3, 1] * rows,
        sharex=True,
        squeeze=False,
        layout="constrained",
    )
    runs = list(dict.fromkeys(run for lines in benchmarks.values() for run in lines))
    for number, (name, lines) in enumerate(benchmarks.items()):
        row, column = divmod(number, columns)
        above, below = panels[2 * row][column], panels[2 * row + 1][column]
        _draw(above, below, lines, runs)
        above.set_title(name, fontsize="medium", fontweight="bold")
        below.tick_params(labelbottom=True)
        below.set_xlabel("step")
        if column == 0:
            above.set_ylabel("accuracy")
            below.set_ylabel("tokens")
    if len(runs) > 1:
        panels[0][0].legend(fontsize="small")
    for number in range(len(benchmarks), rows * columns):
        row, column = divmod(number, columns)
        panels[2 * row][column].set_axis_off()
        panels[2 * row + 1][column].set_axis_off()
    figure.align_ylabels()
    figure.suptitle(title, fontsize="medium")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _draw(above: Any, below: Any, lines: Lines, runs: list[str]) -> None:
    from matplotlib.ticker import MaxNLocator

    for run, points in lines.items():
        style = {"color": f"C{runs.index(run)}", "marker": "o", "markersize": 4}
        steps = [point.step for point in points]
        low = [point.accuracy - point.interval[0] for point in points]
        high = [point.interval[1] - point.accuracy for point in points]
        accuracy = [point.accuracy for point in points]
        above.errorbar(steps, accuracy, yerr=[low, high], capsize=3, label=run, **style)
        below.plot(steps, [point.mean_tokens for point in points], **style)
    above.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g}%")
    most = max(point.mean_tokens for points in lines.values() for point in points)
    below.set_ylim(0, 1.25 * max(most, 1))
    below.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    for panel in (above, below):
        panel.grid(alpha=0.3)
