"""Held-out accuracy against what it cost: steps, rollouts, tokens and seconds are four different axes."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

AXES = {
    "steps": "step",
    "rollouts": "rollouts/spent_total",
    "tokens": "tokens/generated_total",
    "seconds": "seconds/total",
}
"""Each axis and its column of `metrics.jsonl`. Seconds include selection, but not evaluation and saving."""

SMOOTHING = 3
"""Evaluations in the moving mean that must cross a target, so that one lucky evaluation does not count."""


@dataclass(frozen=True)
class Curve:
    """A run's held-out accuracy, (E,), and its cost on each axis at those evaluations, (E,) each."""

    accuracy_E: np.ndarray
    cost: dict[str, np.ndarray]
    effective_ratio: float
    selection_seconds: float

    def cost_to_reach(self, target: float, axis: str) -> float:
        """Cost at which the smoothed accuracy first reaches `target`, between evaluations by interpolation.

        NaN where the run ended before: the cost is then known only to be more than the run's.
        """
        width = min(SMOOTHING, len(self.accuracy_E))
        kernel = np.ones(width) / width
        accuracy = np.convolve(self.accuracy_E, kernel, mode="valid")
        cost = np.convolve(self.cost[axis], kernel, mode="valid")
        reached = np.flatnonzero(accuracy >= target)
        if len(reached) == 0:
            return float("nan")
        first = reached[0]
        if first == 0:
            return float(cost[0])
        share = (target - accuracy[first - 1]) / (accuracy[first] - accuracy[first - 1])
        return float(cost[first - 1] + share * (cost[first] - cost[first - 1]))


def read_curve(run: Path) -> Curve:
    """Joins a run's `heldout.jsonl` (step, accuracy) with its `metrics.jsonl`."""
    metrics = {row["step"]: row for row in read_jsonl(run / "metrics.jsonl")}
    evaluations = [
        row for row in read_jsonl(run / "heldout.jsonl") if row["step"] == 0 or row["step"] in metrics
    ]
    zero = dict.fromkeys(AXES.values(), 0.0)
    rows = [zero if row["step"] == 0 else metrics[row["step"]] for row in evaluations]
    return Curve(
        accuracy_E=np.array([row["accuracy"] for row in evaluations]),
        cost={axis: np.array([row[column] for row in rows], dtype=float) for axis, column in AXES.items()},
        effective_ratio=float(np.mean([row["effective_ratio"] for row in metrics.values()])),
        selection_seconds=float(np.sum([row["seconds/selection"] for row in metrics.values()])),
    )


def read_jsonl(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def paired_ratio(
    cost_S: Sequence[float], baseline_S: Sequence[float], seed: int = 0, num_resamples: int = 10_000
) -> tuple[float, float, float]:
    """Ratio of costs over S matched seeds: geometric mean, and the paired bootstrap's 95% interval.

    Below 1 is cheaper than the baseline. Pairs in which either is NaN (never reached) are left out, so say
    how many there were. paired_ratio([5, 20], [10, 40]) -> (0.5, 0.5, 0.5)
    """
    log_ratio = np.log(np.asarray(cost_S, dtype=float) / np.asarray(baseline_S, dtype=float))
    log_ratio = log_ratio[np.isfinite(log_ratio)]
    if len(log_ratio) == 0:
        return float("nan"), float("nan"), float("nan")
    resampled = np.random.default_rng(seed).choice(log_ratio, (num_resamples, len(log_ratio))).mean(axis=1)
    low, high = np.quantile(resampled, [0.025, 0.975])
    return float(np.exp(log_ratio.mean())), float(np.exp(low)), float(np.exp(high))
