"""Online difficulty filters: pure functions from graded groups to "kept" or a drop reason each.

They look at the signal, never at the shaped reward: a length bonus must not make an all-wrong group useful.
"""

from collections.abc import Callable

import numpy as np

from rlkit.types import INFORMATIVE_VARIANCE, Groups

KEPT = "kept"
UNSCORABLE = "unscorable"
REASONS = (KEPT, "surplus", "all_high", "all_low", "too_easy", "too_hard", UNSCORABLE)
"""What becomes of a group; "surplus" passed the filter after the batch was full."""

Filter = Callable[[Groups], np.ndarray]


def keep_all(groups: Groups) -> np.ndarray:
    """No filter."""
    return np.full(len(groups), KEPT, dtype=object)


def zero_variance(groups: Groups) -> np.ndarray:
    """Drops groups whose signal does not differ (DAPO's dynamic sampling, arXiv 2503.14476, equation 6).

    [1, 1] -> "all_high", [0, 0] -> "all_low" (split at one half), [1, 0] -> "kept".
    """
    mean_P, variance_P = groups.mean_P, groups.variance_P
    reason_P = keep_all(groups)
    flat_P = variance_P <= INFORMATIVE_VARIANCE
    reason_P[flat_P & (mean_P > 0.5)] = "all_high"
    reason_P[flat_P & (mean_P <= 0.5)] = "all_low"
    reason_P[np.isnan(variance_P)] = UNSCORABLE
    return reason_P


def band(groups: Groups, low: float = 0.2, high: float = 0.8) -> np.ndarray:
    """Keeps groups with low <= mean <= high, balanced about one half (Bae et al., arXiv 2504.03380).

    The example band of 0.2 to 0.8 is the one that secondary sources give; the paper's grid was not found.
    """
    mean_P = groups.mean_P
    reason_P = keep_all(groups)
    # Means are multiples of 1/G in floating point: 0.2 must pass where low is 0.2.
    reason_P[mean_P > high + 1e-9] = "too_easy"
    reason_P[mean_P < low - 1e-9] = "too_hard"
    reason_P[np.isnan(mean_P)] = UNSCORABLE
    return reason_P
