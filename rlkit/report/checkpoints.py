"""The picture of a run's checkpoints: accuracy and tokens of each benchmark against the training step."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PANELS_IN_A_ROW = 4


@dataclass(frozen=True, slots=True)
class Point:
    """One checkpoint on one benchmark: accuracy, its 95% interval (both 0 to 1), mean tokens a completion."""

    step: int
    accuracy: float
    interval: tuple[float, float]
    mean_tokens: float


def plot_checkpoints(benchmarks: Mapping[str, Sequence[Point]], path: Path, title: str) -> None:
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
    for number, (name, points) in enumerate(benchmarks.items()):
        row, column = divmod(number, columns)
        above, below = panels[2 * row][column], panels[2 * row + 1][column]
        ordered = sorted(points, key=lambda point: point.step)
        _draw(above, below, ordered)
        above.set_title(name, fontsize="medium", fontweight="bold")
        below.tick_params(labelbottom=True)
        below.set_xlabel("step")
        if column == 0:
            above.set_ylabel("accuracy")
            below.set_ylabel("tokens")
    for number in range(len(benchmarks), rows * columns):
        row, column = divmod(number, columns)
        panels[2 * row][column].set_axis_off()
        panels[2 * row + 1][column].set_axis_off()
    figure.align_ylabels()
    figure.suptitle(title, fontsize="medium")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _draw(above, below, points: list[Point]) -> None:
    from matplotlib.ticker import MaxNLocator

    steps = [point.step for point in points]
    accuracy = [point.accuracy for point in points]
    low = [point.accuracy - point.interval[0] for point in points]
    high = [point.interval[1] - point.accuracy for point in points]
    above.errorbar(steps, accuracy, yerr=[low, high], color="tab:blue", marker="o", markersize=4, capsize=3)
    above.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g}%")
    tokens = [point.mean_tokens for point in points]
    below.plot(steps, tokens, color="tab:gray", marker="o", markersize=4)
    below.set_ylim(0, 1.25 * max(max(tokens), 1))
    below.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    for panel in (above, below):
        panel.grid(alpha=0.3)
