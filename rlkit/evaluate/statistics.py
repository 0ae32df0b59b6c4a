"""pass@k and majority@k without bias, intervals for what is averaged over problems, and OckScore.

Sources: Chen et al. 2021, "Evaluating large language models trained on code", section 2.1; Wang et al. 2022,
"Self-consistency improves chain of thought reasoning"; Wilson 1927; OckBench, arXiv 2511.05722.
Shapes: N problems, S samples of one problem, D draws, A distinct answers.
"""

import math
from collections.abc import Sequence
from itertools import combinations
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

NUM_RESAMPLES = 2000
MAX_SUBSETS = 1000  # of a problem's samples on which votes are counted; where there are more, some are drawn


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


def majority_at_k(group_S: Sequence[int], correct_S: Sequence[bool], k: int, seed: int) -> float:
    """The chance that a right answer wins the vote of k of a problem's samples, drawn without replacement.

    All subsets are counted where there are at most MAX_SUBSETS of them, else as many are drawn at random.

    Args:
        group_S: the same number for equivalent answers; -1 for no answer, which wins only where all have
            none.
        correct_S: whether each sample is correct. Of several answers that tie, each wins with the same
            chance; an answer some of whose samples are graded right and some wrong counts by their share.
        k: votes.
        seed: of the draws.

    majority_at_k([0, 0, 1], [True, True, False], k=2, seed=0) is 2/3: once the right answer has both votes,
    twice there is a tie.
    """
    num_samples = len(group_S)
    if not 1 <= k <= num_samples:
        raise ValueError(f"k ({k}) must be between 1 and the number of samples, {num_samples}")
    groups, index_S = np.unique(np.asarray(group_S), return_inverse=True)
    vote_SA = np.eye(len(groups))[index_S]
    share_A = (vote_SA * np.asarray(correct_S)[:, None]).sum(0) / vote_SA.sum(0)
    votes_DA = vote_SA[_subsets(num_samples, k, seed)].sum(1)
    if groups[0] == -1 and len(groups) > 1:
        votes_DA[:, 0] *= votes_DA[:, 1:].sum(1) == 0
    winner_DA = votes_DA == votes_DA.max(1, keepdims=True)
    return float(((winner_DA * share_A).sum(1) / winner_DA.sum(1)).mean())


def _subsets(num: int, k: int, seed: int) -> np.ndarray:
    """Positions (D, k) of subsets of `num` samples: all, or MAX_SUBSETS random ones."""
    if math.comb(num, k) <= MAX_SUBSETS:
        return np.array(list(combinations(range(num), k)))
    return np.argsort(np.random.default_rng(seed).random((MAX_SUBSETS, num)), axis=1)[:, :k]


def ock_score(accuracy: float, mean_tokens: float) -> float:
    """OckBench's reasoning efficiency: 100 * accuracy - 10 * ln(mean_tokens / 10000 + 1).

    `accuracy` is a share, `mean_tokens` prompt and completion together. ock_score(0.5, 10_000) is 50 - 6.93.
    """
    return 100 * accuracy - 10 * math.log(mean_tokens / 10_000 + 1)


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
    same, such as at 0 and at 1, and is narrow for few problems: with 4 samples of 10 problems that are mostly
    hard it holds the truth 85 times of 100 (30: 93, 200: 95). For one yes or no a problem use
    wilson_interval.
    """
    values_N = np.asarray(values_N, dtype=float)
    if values_N.size == 0:
        raise ValueError("values_N is empty: there is no problem to average over")
    rng = np.random.default_rng(seed)
    levels, counts = np.unique(
        values_N, return_counts=True
    )  # often a few: how often each is drawn says it all
    draws = rng.multinomial(values_N.size, counts / values_N.size, size=NUM_RESAMPLES)
    low, high = np.quantile(draws @ levels / values_N.size, [0.5 - confidence / 2, 0.5 + confidence / 2])
    return float(low), float(high)
