"""pass@k without bias, and intervals for what is averaged over problems.

Sources: Chen et al. 2021, "Evaluating large language models trained on code", section 2.1; Wilson 1927.
Shapes: N problems.
"""

from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

NUM_RESAMPLES = 2000


def pass_at_k(num_samples_N: ArrayLike, num_correct_N: ArrayLike, k: int) -> np.ndarray:
    """The chance that k of a problem's n samples, drawn without replacement, hold one of its c correct ones.

    1 - C(n-c, k) / C(n, k), as a product that never overflows: pass_at_k([4], [1], k=2) is [0.5]. Drawing k
    samples once and looking has the same mean and more variance; 1 - (1 - c/n)^k is biased.
    """
    num_N, correct_N = np.broadcast_arrays(np.asarray(num_samples_N), np.asarray(num_correct_N))
    if k < 1 or (num_N < k).any():
        raise ValueError(f"k ({k}) must be between 1 and the number of samples, at the least {num_N.min()}")
    if ((correct_N < 0) | (correct_N > num_N)).any():
        raise ValueError(
            f"counts of correct samples must be between 0 and the number of samples: {correct_N}"
        )
    wrong_N = num_N - correct_N
    all_wrong_N = np.ones(num_N.shape)
    for drawn in range(k):
        all_wrong_N *= np.maximum(wrong_N - drawn, 0) / (num_N - drawn)
    return 1 - all_wrong_N


def wilson_interval(num_successes: int, num_trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Bounds of a success probability from independent trials; sound also at 0 and 1, and for few trials.

    wilson_interval(0, 10) is about (0.0, 0.278).
    """
    if num_trials < 1 or not 0 <= num_successes <= num_trials:
        raise ValueError(
            f"num_successes ({num_successes}) must be between 0 and num_trials ({num_trials} >= 1)"
        )
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    mean = num_successes / num_trials
    scale = 1 + z**2 / num_trials
    center = (mean + z**2 / (2 * num_trials)) / scale
    half = z * np.sqrt(mean * (1 - mean) / num_trials + z**2 / (4 * num_trials**2)) / scale
    return max(0.0, float(center - half)), min(1.0, float(center + half))


def bootstrap_interval(values_N: ArrayLike, seed: int, confidence: float = 0.95) -> tuple[float, float]:
    """Percentile bounds of the mean of per-problem values, problems drawn anew NUM_RESAMPLES times.

    Samples of one problem are alike, so the problem is the unit. It has no width when all values are the
    same: use wilson_interval for one yes or no a problem.
    """
    values_N = np.asarray(values_N, dtype=float)
    if values_N.size == 0:
        raise ValueError("values_N is empty: there is no problem to average over")
    rng = np.random.default_rng(seed)
    means = np.array([rng.choice(values_N, size=values_N.size).mean() for _ in range(NUM_RESAMPLES)])
    low, high = np.quantile(means, [0.5 - confidence / 2, 0.5 + confidence / 2])
    return float(low), float(high)
