"""How good were the predictions? Scored before the estimator learns from the outcome.

Brier score: mean squared difference of a completion's signal and the predicted mean. Explained variance:
1 - Var(group mean - predicted mean) / Var(group mean), as in PCL. Spearman: rank correlation of the two.
They are taken over the last `WINDOW` graded groups, since a single step has too few. A selector that asks
for prompts near one half narrows the range, and with it the last two: compare them between runs of one
preset only.
"""

from typing import Any

import numpy as np

from rlkit.types import Groups, Prediction

WINDOW = 512


class Calibration:
    """The last `WINDOW` graded groups: predicted mean, predicted variance, mean, variance, Brier score."""

    def __init__(self) -> None:
        self._recent = np.empty((0, 5))

    def observe(self, prediction: Prediction, groups: Groups) -> None:
        brier_P = np.full(len(groups), np.nan)
        scored = groups.count_P > 0
        error_PG = groups.signal_PG[scored] - prediction.mean_N[scored, None]
        brier_P[scored] = np.nanmean(error_PG**2, axis=1)
        rows = np.stack(
            [prediction.mean_N, prediction.variance_N, groups.mean_P, groups.variance_P, brier_P], axis=1
        )
        self._recent = np.concatenate([self._recent, rows[scored]])[-WINDOW:]

    def metrics(self) -> dict[str, float]:
        if len(self._recent) < 2:
            return {}
        mean_hat, variance_hat, mean, variance, brier = self._recent.T
        metrics = {
            "calibration/brier": float(brier.mean()),
            "calibration/variance_rmse": float(np.sqrt(np.mean((variance_hat - variance) ** 2))),
        }
        explained = self.explained_variance()
        if explained is not None:
            metrics["calibration/explained_variance"] = explained
        correlation = spearman(mean_hat, mean)
        if correlation is not None:
            metrics["calibration/spearman"] = correlation
        return metrics

    def explained_variance(self) -> float | None:
        """None before two groups were scored, and where all had the same mean."""
        mean_hat, _, mean, _, _ = self._recent.T
        if len(mean) < 2 or mean.var() == 0:
            return None
        return float(1 - (mean - mean_hat).var() / mean.var())

    def state_dict(self) -> dict[str, Any]:
        return {"recent": self._recent}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._recent = np.array(state["recent"])


def spearman(x: np.ndarray, y: np.ndarray) -> float | None:
    """Rank correlation with ties at their average rank; None where either is constant.

    spearman([1, 2, 3], [1, 4, 9]) -> 1.0
    """
    ranks_x, ranks_y = _average_ranks(x), _average_ranks(y)
    if ranks_x.std() == 0 or ranks_y.std() == 0:
        return None
    return float(np.corrcoef(ranks_x, ranks_y)[0, 1])


def _average_ranks(x: np.ndarray) -> np.ndarray:
    _, inverse, counts = np.unique(x, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse]
