"""Did the curriculum know what it did? Its predictions, made before the rollouts, against what came out.

    explained variance = 1 - Var(group mean - predicted mean) / Var(group mean)
    of the truth       = 1 - mean(v / (n - 1)) / Var(group mean)

v is a group's biased variance over n completions. A group's mean is itself a sample, so that not even the
true success probabilities explain all of its variance: v / (n - 1) estimates how much they leave. The share
of the oracle is the first over the second; both are taken over the same groups.
"""

from typing import Any

import numpy as np

from rlkit.report.run_groups import GroupTable

NUM_BINS = 10
WINDOW = 512
"""Groups in a window, as in `curriculum/calibration.py`."""
MOST_WINDOWS = 200


def calibration(groups: GroupTable, low: float, high: float) -> dict[str, Any] | None:
    """The curve of predictions, in tenths of the signal's range, and the explained variance over time.

    None where nothing was predicted: a curriculum without an estimator says one half of every prompt.
    """
    known = (groups.count_P > 0) & np.isfinite(groups.predicted_P)
    groups = groups.take(known)
    if len(groups) < 2 or np.ptp(groups.predicted_P) == 0:
        return None
    last = groups.take(np.arange(max(len(groups) - WINDOW, 0), len(groups)))
    return {
        "bins": _bins(groups, low, high),
        "groups": len(groups),
        "whole": _explained(groups),
        "last": {"groups": len(last), **_explained(last)},
        "windows": _windows(groups),
    }


def _bins(groups: GroupTable, low: float, high: float) -> list[dict[str, float]]:
    place_P = (groups.predicted_P - low) / (high - low) * NUM_BINS
    bin_P = np.clip(place_P.astype(int), 0, NUM_BINS - 1)
    bins = []
    for number in np.unique(bin_P):
        inside = groups.take(bin_P == number)
        error = inside.mean_P.std(ddof=1) / np.sqrt(len(inside)) if len(inside) > 1 else np.nan
        bins.append(
            {
                "predicted": float(inside.predicted_P.mean()),
                "observed": float(inside.mean_P.mean()),
                "low": float(inside.mean_P.mean() - 1.96 * error),
                "high": float(inside.mean_P.mean() + 1.96 * error),
                "groups": len(inside),
            }
        )
    return bins


def _windows(groups: GroupTable) -> dict[str, list]:
    """Explained variance of consecutive windows, at the step of each one's last group."""
    num = max(len(groups) // WINDOW, 1)
    parts = np.array_split(np.arange(len(groups)), min(num, MOST_WINDOWS))
    explained = [_explained(groups.take(part)) for part in parts]
    return {
        "step": [int(groups.step_P[part[-1]]) for part in parts],
        **{name: [window[name] for window in explained] for name in ("explained", "possible")},
    }


def _explained(groups: GroupTable) -> dict[str, float | None]:
    total = float(groups.mean_P.var())
    if total == 0:
        return {"explained": None, "possible": None}
    several = groups.count_P > 1
    noise = (
        float((groups.variance_P[several] / (groups.count_P[several] - 1)).mean()) if several.any() else 0.0
    )
    left = float((groups.mean_P - groups.predicted_P).var())
    return {"explained": 1 - left / total, "possible": float(np.clip(1 - noise / total, 0, 1))}
