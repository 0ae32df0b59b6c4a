"""What a comparison of curricula shows: accuracy at equal cost, cost at equal accuracy, and how sure that is.

Runs are paired: run r of each curriculum has the same start and the same seed. Every difference and ratio is
to the first curriculum, over the pairs, with a paired bootstrap's 95% interval.

A run that ended before it reached a target is censored: all that is known of its cost is that it is more
than the run's. It then counts with the run's cost, and the ratio is a bound:

    the curriculum censored, the baseline not    ratio at least r: can show "dearer", never "cheaper"
    the baseline censored, the curriculum not    ratio at most r: can show "cheaper", never "dearer"
    both, in one pair                            the pair says nothing and is left out
    both kinds among the pairs                   no bound: shows nothing
"""

import math
from collections.abc import Sequence

import numpy as np

from rlkit.report.curves import CALIBRATION, Curve, paired_mean, paired_ratio
from rlkit.settings.budget import AXES

MIN_BLOCKS = 3
"""Independent pairs without which no verdict is given: the interval of two is no interval."""
TARGET_SHARES = (0.5, 0.8)
"""Targets where none are given: the baseline's start and these shares of what it gains."""

BOUNDS = {(0, 0): None, (1, 0): "at least", (0, 1): "at most", (1, 1): "unbounded"}
"""By whether runs of the curriculum, and of the baseline, are censored."""

Runs = list[Curve | None]
"""A curriculum's runs in the order of the pairs; None where one failed."""


def summarize(runs: dict[str, Runs], block_R: Sequence[int], targets: Sequence[float] = ()) -> dict:
    """The numbers of `summary.json`.

    Args:
        runs: curriculum -> its R runs; the first curriculum is the baseline.
        block_R: the start of each pair; pairs with the same one are resampled together.
        targets: held-out accuracies; default: see `TARGET_SHARES`.
    """
    done = [run for column in runs.values() for run in column if run is not None]
    equal = {axis: min(run.end(axis) for run in done) for axis in AXES}
    baseline = next(iter(runs.values()))
    chosen = list(targets) or default_targets(baseline)
    return {
        "baseline": next(iter(runs)),
        "targets": chosen,
        "targets_from_baseline": not targets,
        "equal_cost": equal,
        "curricula": {
            name: {
                "runs": sum(run is not None for run in column),
                "accuracy": {
                    axis: accuracy_at(column, baseline, cost, axis, block_R) for axis, cost in equal.items()
                },
                "cost": {
                    f"{target:.4g}": {
                        axis: cost_to_reach(column, baseline, target, axis, block_R) for axis in AXES
                    }
                    for target in chosen
                },
                **account(column),
            }
            for name, column in runs.items()
        },
    }


def default_targets(baseline: Runs) -> list[float]:
    """Accuracies between the baseline's mean start and mean end; none where it did not gain."""
    done = [run for run in baseline if run is not None]
    if not done:
        return []
    first = np.mean([run.accuracy_E[0] for run in done])
    last = np.mean([run.accuracy_at(math.inf, "steps") for run in done])
    return [float(first + share * (last - first)) for share in TARGET_SHARES] if last > first else []


def accuracy_at(column: Runs, baseline: Runs, cost: float, axis: str, block_R: Sequence[int]) -> dict:
    """Held-out accuracy at a cost that every run reached, and its difference to the baseline's."""
    accuracy_R = [math.nan if run is None else run.accuracy_at(cost, axis) for run in column]
    base_R = [math.nan if run is None else run.accuracy_at(cost, axis) for run in baseline]
    difference_R = np.subtract(accuracy_R, base_R)
    mean, low, high = paired_mean(difference_R.tolist(), block_R)
    return {
        "mean": _mean(accuracy_R),
        "runs": _nulls(accuracy_R),
        "difference": _null(mean),
        "interval": _nulls([low, high]),
        "verdict": _verdict(low, high, 0.0, _num_blocks(difference_R, block_R), ("worse", "better")),
    }


def cost_to_reach(column: Runs, baseline: Runs, target: float, axis: str, block_R: Sequence[int]) -> dict:
    """Cost to reach a target, how many did, and the ratio to the baseline's as the module's text has it."""
    cost_R, end_R = _costs(column, target, axis)
    base_R, base_end_R = _costs(baseline, target, axis)
    late_R, base_late_R = np.isnan(cost_R), np.isnan(base_R)
    known_R = ~np.isnan(end_R) & ~np.isnan(base_end_R) & ~(late_R & base_late_R)
    ratio, low, high = paired_ratio(
        np.where(known_R, np.where(late_R, end_R, cost_R), np.nan).tolist(),
        np.where(known_R, np.where(base_late_R, base_end_R, base_R), np.nan).tolist(),
        block_R,
    )
    at_least, at_most = bool((late_R & known_R).any()), bool((base_late_R & known_R).any())
    words = ("cheaper" if not at_least else None, "dearer" if not at_most else None)
    return {
        "mean": _mean(cost_R),
        "runs": _nulls(cost_R),
        "reached": int((~late_R).sum()),
        "pairs": int(known_R.sum()),
        "ratio": _null(ratio),
        "interval": _nulls([low, high]),
        "bound": BOUNDS[at_least, at_most],
        "verdict": _verdict(low, high, 1.0, _num_blocks(np.where(known_R, 1.0, np.nan), block_R), words),
    }


def account(column: Runs) -> dict:
    """Means over the runs: effective ratio, what selection took, and calibration at the end of the runs."""
    done = [run for run in column if run is not None]
    seconds = [run.cost["seconds"][-1] for run in done]
    return {
        "effective_ratio": _mean([run.effective_ratio for run in done]),
        "selection_seconds": _mean([run.selection_seconds for run in done]),
        "selection_share": _mean(
            [run.selection_seconds / total for run, total in zip(done, seconds, strict=True)]
        ),
        "calibration": {
            name: _mean([run.calibration.get(name, math.nan) for run in done]) for name in CALIBRATION
        },
        "ends_at": {axis: _mean([run.cost[axis][-1] for run in done]) for axis in AXES},
    }


def _costs(column: Runs, target: float, axis: str) -> tuple[np.ndarray, np.ndarray]:
    """Cost to reach the target, NaN where it was not; and the cost of the whole run, NaN where it failed."""
    cost_R = [math.nan if run is None else run.cost_to_reach(target, axis) for run in column]
    end_R = [math.nan if run is None else run.end(axis) for run in column]
    return np.array(cost_R), np.array(end_R)


def _verdict(low: float, high: float, equal: float, num_blocks: int, words: tuple) -> str:
    """`words` are for an interval below and above `equal`; None where the data cannot show that side."""
    if num_blocks == 0:
        return "not known"
    if num_blocks < MIN_BLOCKS:
        return "too few runs to say"
    word = words[0] if high < equal else words[1] if low > equal else None
    return word or "no difference shown"


def _num_blocks(value_R: np.ndarray, block_R: Sequence[int]) -> int:
    return len(np.unique(np.asarray(block_R)[np.isfinite(value_R)]))


def _mean(values: Sequence[float] | np.ndarray) -> float | None:
    known = [value for value in values if math.isfinite(value)]
    return float(np.mean(known)) if known else None


def _null(value: float) -> float | None:
    """JSON has no NaN."""
    return float(value) if math.isfinite(value) else None


def _nulls(values: Sequence[float] | np.ndarray) -> list[float | None]:
    return [_null(value) for value in values]
