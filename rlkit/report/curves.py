"""Held-out accuracy against what it cost: steps, rollouts, tokens and seconds are four different axes."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rlkit.settings.budget import AXES, Budget

SMOOTHING = 3
"""Evaluations in the moving mean that must cross a target, so that one lucky evaluation does not count."""

CALIBRATION = ("brier", "spearman", "explained_variance")


@dataclass(frozen=True)
class Curve:
    """A run's held-out accuracy, (E,), and its cost on each axis at those evaluations, (E,) each.

    `calibration` is that of the last steps' predictions; what was undefined there is left out.
    """

    accuracy_E: np.ndarray
    cost: dict[str, np.ndarray]
    effective_ratio: float
    selection_seconds: float
    calibration: dict[str, float]

    def smoothed(self, axis: str) -> tuple[np.ndarray, np.ndarray]:
        """Moving means of cost and accuracy over `SMOOTHING` evaluations."""
        width = min(SMOOTHING, len(self.accuracy_E))
        kernel = np.ones(width) / width
        return np.convolve(self.cost[axis], kernel, "valid"), np.convolve(self.accuracy_E, kernel, "valid")

    def end(self, axis: str) -> float:
        """The greatest cost up to which the smoothed accuracy is known."""
        return float(self.smoothed(axis)[0][-1])

    def accuracy_at(self, cost: float, axis: str) -> float:
        """Smoothed accuracy at a cost, between evaluations by interpolation, flat outside of them."""
        return float(np.interp(cost, *self.smoothed(axis)))

    def cost_to_reach(self, target: float, axis: str) -> float:
        """Cost at which the smoothed accuracy first reaches `target`, between evaluations by interpolation.

        NaN where the run ended before: the cost is then known only to be more than the run's.
        """
        cost, accuracy = self.smoothed(axis)
        reached = np.flatnonzero(accuracy >= target)
        if len(reached) == 0:
            return float("nan")
        first = reached[0]
        if first == 0:
            return float(cost[0])
        share = (target - accuracy[first - 1]) / (accuracy[first] - accuracy[first - 1])
        return float(cost[first - 1] + share * (cost[first] - cost[first - 1]))


def read_curve(run: Path, budget: Budget | None = None, metric: str | None = None) -> Curve:
    """Joins a run's held-out accuracy with its `metrics.jsonl`.

    Args:
        budget: what the run did after it was spent is left out, so that runs of several lengths compare.
        metric: see `read_heldout`.
    """
    metrics = {row["step"]: row for row in read_jsonl(run / "metrics.jsonl")}
    if budget is not None:
        last = min((step for step, row in metrics.items() if budget.is_spent(row)), default=max(metrics))
        metrics = {step: row for step, row in metrics.items() if step <= last}
    zero = dict.fromkeys(AXES.values(), 0.0)
    heldout = read_heldout(run, metric)
    evaluations = [
        (metrics.get(step, zero), value) for step, value in heldout if step == 0 or step in metrics
    ]
    if not evaluations:
        raise ValueError(
            f"{run} has no held-out accuracy at any step up to {max(metrics)}; evaluate more often"
        )
    # Steps on an earlier generation collected nothing.
    rows = [row for row in metrics.values() if "effective_ratio" in row]
    return Curve(
        accuracy_E=np.array([value for _, value in evaluations]),
        cost={axis: np.array([row[name] for row, _ in evaluations], float) for axis, name in AXES.items()},
        effective_ratio=float(np.mean([row["effective_ratio"] for row in rows])),
        selection_seconds=float(np.sum([row["seconds/selection"] for row in rows])),
        calibration={
            name: rows[-1][f"calibration/{name}"]
            for name in CALIBRATION
            if rows[-1].get(f"calibration/{name}") is not None
        },
    )


def read_heldout(run: Path, metric: str | None = None) -> list[tuple[int, float]]:
    """Steps and held-out accuracies of a run, in order.

    From `heldout.jsonl` where the recipe writes it, else from TRL's evaluations in the last checkpoint: the
    mean of the reward function, `eval_rewards/<name>/mean`.

    Args:
        metric: the key of those, needed where there are several reward functions.

    Raises:
        ValueError: the run has neither, or several metrics to choose from.
    """
    if metric is None and (run / "heldout.jsonl").exists():
        values = {row["step"]: row["accuracy"] for row in read_jsonl(run / "heldout.jsonl")}
        return sorted(values.items())
    states = sorted(run.glob("checkpoint-*/trainer_state.json"), key=lambda path: int(path.parent.name[11:]))
    history = json.loads(states[-1].read_text())["log_history"] if states else []
    names = {name for row in history for name in row if name.startswith("eval_")}
    means = sorted(name for name in names if name.startswith("eval_rewards/") and name.endswith("/mean"))
    if metric is None and len(means) > 1:
        raise ValueError(f"{run} was evaluated with several rewards; set metric to one: {', '.join(means)}")
    chosen = metric or (means[0] if means else None)
    if chosen not in names:
        asked = "" if metric is None else f" under metric={metric!r} (there are: {', '.join(sorted(names))})"
        raise ValueError(
            f"{run} has no held-out accuracy{asked}: neither heldout.jsonl nor evaluations in a checkpoint's "
            "trainer_state.json; give the recipe held-out prompts and set eval_strategy: steps and eval_steps"
        )
    return sorted({row["step"]: row[chosen] for row in history if row.get(chosen) is not None}.items())


def read_jsonl(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def paired_mean(
    difference_S: Sequence[float],
    block_S: Sequence[int] | None = None,
    seed: int = 0,
    num_resamples: int = 10_000,
) -> tuple[float, float, float]:
    """Mean of a paired difference and its bootstrap's 95% interval; NaN pairs are left out.

    Whole blocks are drawn with replacement (default: each pair is a block), since runs from the same start
    are not independent. paired_mean([1, 3]) -> (2.0, 1.0, 3.0)
    """
    values = np.asarray(difference_S, dtype=float)
    blocks = np.arange(len(values)) if block_S is None else np.asarray(block_S)
    known = np.isfinite(values)
    if not known.any():
        return float("nan"), float("nan"), float("nan")
    _, number = np.unique(blocks[known], return_inverse=True)
    sums = np.bincount(number, weights=values[known])
    counts = np.bincount(number)
    drawn = np.random.default_rng(seed).integers(len(sums), size=(num_resamples, len(sums)))
    low, high = np.quantile(sums[drawn].sum(1) / counts[drawn].sum(1), [0.025, 0.975])
    return float(sums.sum() / counts.sum()), float(low), float(high)


def paired_ratio(
    cost_S: Sequence[float], baseline_S: Sequence[float], block_S: Sequence[int] | None = None, seed: int = 0
) -> tuple[float, float, float]:
    """Ratio of costs over S matched runs: geometric mean, and the paired bootstrap's 95% interval.

    Below 1 is cheaper than the baseline. Pairs in which either is NaN (never reached) are left out, so say
    how many there were. paired_ratio([5, 20], [10, 40]) -> (0.5, 0.5, 0.5)
    """
    with np.errstate(divide="ignore", invalid="ignore"):  # a cost of 0 is no ratio either
        log_ratio = np.log(np.asarray(cost_S, dtype=float) / np.asarray(baseline_S, dtype=float))
    ratio, low, high = np.exp(paired_mean(log_ratio.tolist(), block_S, seed))
    return float(ratio), float(low), float(high)
