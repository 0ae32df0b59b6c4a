"""Two models on the same problems: the difference, its interval, and an exact test.

The unit is the problem: samples of one problem are alike. Under the null hypothesis that the models are
equal, the two counts of right samples of a problem could as well be swapped, so each problem's difference
has either sign with probability 1/2:

    p = P(|sum_i s_i d_i| >= |sum_i d_i|),  s_i = -1 or +1

over all 2^N assignments of signs, counted exactly (the Fisher-Pitman permutation test of paired data). With
one sample a problem d_i is -1, 0 or 1, and this is McNemar's exact test: with b problems that only the first
model solves and c that only the second does, 2 P(Binomial(b + c, 1/2) <= min(b, c)), at most 1.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rlkit.evaluate.statistics import bootstrap_interval

SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Difference:
    """The mean over problems of the second model minus the first, its 95% interval by a paired bootstrap over
    problems, and the exact test's two-sided p (None where it is not asked for)."""

    mean: float
    interval: tuple[float, float]
    p_value: float | None = None

    @property
    def verdict(self) -> str:
        """ "higher" or "lower" where the interval leaves 0 out and the test, if any, is significant at 0.05.

        Both are asked, since the bootstrap's interval is too narrow for few problems.
        """
        low, high = self.interval
        if low <= 0 <= high or (self.p_value is not None and self.p_value >= SIGNIFICANT):
            return "no difference shown"
        return "higher" if low > 0 else "lower"


def accuracy_difference(
    correct_A: Sequence[int], num_A: int, correct_B: Sequence[int], num_B: int, seed: int
) -> Difference:
    """Of the share of right samples: counts (N,) of the same N problems, of `num_A` and `num_B` samples each.

    accuracy_difference([0, 1], 1, [1, 1], 1, seed=0).mean is 0.5
    """
    first_N, second_N = np.asarray(correct_A), np.asarray(correct_B)
    common = math.lcm(num_A, num_B)
    difference_N = second_N * (common // num_B) - first_N * (common // num_A)
    return Difference(
        mean=float(difference_N.mean() / common),
        interval=bootstrap_interval(difference_N / common, seed),
        p_value=sign_flip_test(difference_N),
    )


def mean_difference(values_A: ArrayLike, values_B: ArrayLike, seed: int) -> Difference:
    """Of any number a problem, (N,) each, such as tokens."""
    difference_N = np.asarray(values_B, dtype=float) - np.asarray(values_A, dtype=float)
    return Difference(float(difference_N.mean()), bootstrap_interval(difference_N, seed))


def sign_flip_test(difference_N: ArrayLike) -> float:
    """The two-sided p of whole-number differences, (N,), by the distribution of the sum of +-d_i.

    Adding one difference after the other, as in the convolution of N coin flips, it takes N times the sum of
    |d_i| operations. sign_flip_test([1, 1, 1]) is 0.25
    """
    sizes = np.abs(np.asarray(difference_N, dtype=int))
    sizes = sizes[sizes > 0]
    total = int(sizes.sum())
    chance_S = np.ones(1)  # of the sums -reach, ..., reach
    for size in sizes:
        chance_S = (np.pad(chance_S, (2 * size, 0)) + np.pad(chance_S, (0, 2 * size))) / 2
    sums_S = np.arange(-total, total + 1)
    extreme_S = np.abs(sums_S) >= abs(int(np.sum(difference_N)))
    return min(1.0, float(chance_S[extreme_S].sum()))
