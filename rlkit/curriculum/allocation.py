"""Allocations: pure functions that share out a round's completions, more to the promising prompts.

Each takes `(prediction, total)` and returns how many completions each prompt gets, (P,) integers that sum to
`total`, `LEAST` or more. Each group's advantages are then taken over all of its completions.
"""

from collections.abc import Callable

import numpy as np

from rlkit.curriculum.scale import Scale
from rlkit.types import Prediction

Allocation = Callable[[Prediction, int], np.ndarray]

LEAST, MOST = 2, 128
"""Completions of a group: Knapsack RL's bounds."""


def knapsack(prediction: Prediction, total: int, scale: Scale | None = None) -> np.ndarray:
    """The most expected value, sum of (1 - p^n - (1 - p)^n) p (1 - p)^2 (Knapsack RL, arXiv 2509.25849).

    The paper solves it by dynamic programming; since each completion more adds less, taking the best one at
    a time is exact.
    """
    p_P = (scale or Scale()).share(prediction.mean_N)[:, None]
    n = _sizes(len(p_P), total)
    gain_PN = p_P * (1 - p_P) ** 2 * (p_P**n * (1 - p_P) + (1 - p_P) ** n * p_P)
    return _by_gain(gain_PN, total)


def vip(prediction: Prediction, total: int, scale: Scale | None = None) -> np.ndarray:
    """The least variance of the gradient: of the sum of v / (n - 1), v the signal's variance.

    The form of VIP (arXiv 2602.01601) for RLOO; the paper solves for real n by bisection and rounds, here
    whole completions go one at a time to where they help most, which is exact.
    """
    n = _sizes(len(prediction.variance_N), total)
    gain_PN = prediction.variance_N[:, None] * (1 / (n - 1) - 1 / n)
    return _by_gain(gain_PN, total)


def cures(prediction: Prediction, total: int, scale: Scale | None = None) -> np.ndarray:
    """In proportion to the standard deviation: n = total * s / sum of s (CurES, ICLR 2026).

    Rounded by giving each completion to the prompt that is furthest below its share (Jefferson's method).
    """
    deviation_P = np.sqrt(prediction.variance_N)
    return _by_gain(deviation_P[:, None] / (_sizes(len(deviation_P), total) + 1), total)


def _sizes(num: int, total: int) -> np.ndarray:
    """Sizes that a group may grow from: `LEAST` and up, so far that it ends at `MOST` or at the mean size."""
    return np.arange(LEAST, max(MOST, -(-total // num)))


def _by_gain(gain_PN: np.ndarray, total: int) -> np.ndarray:
    """Starts all at `LEAST` and takes the greatest gains; a prompt's must not rise from left to right.

    `gain_PN[p, i]` is what prompt p's completion number LEAST + i + 1 adds. Of equal gains the smaller
    group's is taken.
    """
    num = len(gain_PN)
    order = np.argsort(-gain_PN.T, axis=None, kind="stable")[: total - num * LEAST]
    return LEAST + np.bincount(order % num, minlength=num)


ALLOCATIONS = {"knapsack": knapsack, "vip": vip, "cures": cures}
