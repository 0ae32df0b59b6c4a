"""Online difficulty filters: pure functions from graded groups to "kept" or a drop reason each.

They look at the signal, never at the shaped reward: a length bonus must not make an all-wrong group useful.
"""

from collections.abc import Callable

import numpy as np

from rlkit.types import INFORMATIVE_VARIANCE, Groups

KEPT = "kept"
UNSCORABLE = "unscorable"
LOW_VARIANCE = "low_variance"
AGAIN = "replayed"
WAITING = "waiting"
REFERENCE = "reference"
REASONS = (
    KEPT,
    "surplus",
    AGAIN,
    WAITING,
    REFERENCE,
    "all_high",
    "all_low",
    "too_easy",
    "too_hard",
    LOW_VARIANCE,
    UNSCORABLE,
)
"""What becomes of a group. "surplus" passed the filter after the batch was full, "waiting" is to be completed
in a later step, "replayed" was trained on before, a "reference" was rolled out by a probe, which no filter
sees."""

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


def variance_share(groups: Groups, width: float = 1.0) -> np.ndarray:
    """Unbiased variance as a share of the most that a group of this size can have (VCRL, arXiv 2509.19803).

    The most is that of a group half right: G / (4 (G - 1)) for even G, (G + 1) / (4 G) for odd, times the
    squared `width` of the signal's range. 3 of 8 right: (15/56) / (16/56) = 0.94. NaN where nothing was
    scored, 0 for a single completion.
    """
    count_P, variance_P = groups.count_P, groups.variance_P
    # Biased variances have the factor count / (count - 1) on both sides.
    most_P = np.where(count_P % 2 == 0, 0.25, 0.25 * (1 - 1 / np.maximum(count_P, 1) ** 2.0)) * width**2
    return np.where(count_P == 1, 0.0, variance_P / np.where(count_P > 1, most_P, 1.0))


def variance_floor(groups: Groups, floor: float = 0.8, width: float = 1.0) -> np.ndarray:
    """Keeps groups whose `variance_share` is `floor` or more (VCRL, arXiv 2509.19803).

    3 of 8 right: 0.94 -> "kept" at 0.8.
    """
    share_P = variance_share(groups, width)
    reason_P = keep_all(groups)
    reason_P[share_P < floor - 1e-9] = LOW_VARIANCE
    reason_P[np.isnan(share_P)] = UNSCORABLE
    return reason_P


def top_variance(groups: Groups, share: float = 0.25) -> np.ndarray:
    """Keeps the `share` of the groups, rounded up, with the most variance (LILO, arXiv 2502.12272).

    For a binary signal the variance is p(1 - p). The only filter here that compares groups with each other.
    """
    reason_P = np.full(len(groups), LOW_VARIANCE, dtype=object)
    scored_P = groups.count_P > 0
    num = int(np.ceil(share * len(groups) - 1e-9))
    best = np.argsort(np.where(scored_P, -groups.variance_P, np.inf), kind="stable")[:num]
    reason_P[best] = KEPT
    reason_P[~scored_P] = UNSCORABLE
    return reason_P
