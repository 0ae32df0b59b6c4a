"""A stage's figure for the page, as SVG: rewards or losses over steps, accuracies with their intervals."""

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rlkit.pipeline.kinds import diagnose, evaluate, training


def figure_of(kind: str, folder: Path) -> bytes | None:
    """The figure of a stage that is done; None where its kind has none, or there is nothing to draw."""
    draw = {"rl": _rewards, "sft": _losses, "preference": _losses, "eval": _accuracies, "diagnose": _buckets}
    if kind not in draw:
        return None
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axis = plt.subplots(figsize=(7, 2.8), layout="constrained")
    try:
        if not draw[kind](folder, axis):
            return None
        axis.grid(alpha=0.3)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg")
        return buffer.getvalue()
    finally:
        plt.close(figure)


def _rewards(folder: Path, axis: Any) -> bool:
    rows = [
        json.loads(line) for line in (folder / training.FOLDER / "metrics.jsonl").read_text().splitlines()
    ]
    drawn = False
    for name, column in training.RL_COLUMNS.items():
        points = [(row["step"], row[column]) for row in rows if row.get(column) is not None]
        if points:
            axis.plot(*zip(*points, strict=True), label=name, marker="." if len(points) < 30 else None)
            drawn = True
    axis.set_xlabel("step")
    if drawn:
        axis.legend(fontsize="small")
    return drawn


def _losses(folder: Path, axis: Any) -> bool:
    history = json.loads((folder / training.FOLDER / "trainer_state.json").read_text())["log_history"]
    points = [(entry["step"], entry["loss"]) for entry in history if "loss" in entry]
    if points:
        axis.plot(*zip(*points, strict=True), marker="." if len(points) < 30 else None)
        axis.set_xlabel("step")
        axis.set_ylabel("loss")
    return bool(points)


def _accuracies(folder: Path, axis: Any) -> bool:
    records = json.loads((folder / evaluate.RESULTS / "summary.json").read_text())
    names = [f"{record['label']}\n{record['benchmark']}" for record in records]
    return _bars(axis, names, [(r["accuracy"], *r["accuracy_interval"]) for r in records])


def _buckets(folder: Path, axis: Any) -> bool:
    buckets = json.loads((folder / diagnose.BUCKETS).read_text())["buckets"]
    color: Callable[[dict], str] = lambda bucket: "tab:red" if bucket["failed"] else "tab:blue"  # noqa: E731
    values = [(bucket["accuracy"], *bucket["interval"]) for bucket in buckets]
    return _bars(axis, [bucket["name"] for bucket in buckets], values, [color(b) for b in buckets])


def _bars(
    axis: Any,
    names: Sequence[str],
    values: Sequence[tuple[float, float, float]],
    colors: Sequence[str] | None = None,
) -> bool:
    """Means with their intervals."""
    below = [mean - low for mean, low, _high in values]
    above = [high - mean for mean, _low, high in values]
    axis.bar(names, [mean for mean, *_ in values], yerr=[below, above], capsize=4, color=colors, alpha=0.7)
    axis.set_ylim(0, 1)
    axis.set_ylabel("accuracy")
    return bool(values)
