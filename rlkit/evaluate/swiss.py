"""LLM Swiss Round: models ranked by the wins that they expect in a tournament whose rounds are benchmarks.

Competitive Swiss-System Dynamics, arXiv 2512.21010: before each round models are sorted by their wins, ties
by a shuffle, and neighbours who have not met are paired. The higher score on the benchmark wins, equal
ones have half a win each; the last of an odd number has a bye, which is a win. After a round the last T are
out. What a model expects is its mean over many shuffles.

Ours, as the rule does not say: who has met all that are free meets the next again; two models always stay.
Shapes: S shuffles, M models, K rounds.
"""

from dataclasses import dataclass

import numpy as np

NUM_SHUFFLES = 100_000
AT_ONCE = 10_000
"""Shuffles in memory, whose pairs that have met are S x M x M bits."""
DROPS = (0, 1, 2)
"""Models that are out after each round, whose slope is the failure sensitivity."""


@dataclass(frozen=True)
class Standing:
    """What models expect: wins, (M,) each, with `error_M` the standard error of the mean over shuffles."""

    wins_M: np.ndarray
    error_M: np.ndarray


def expected_wins(
    score_KM: np.ndarray, drop: int = 0, num_shuffles: int = NUM_SHUFFLES, seed: int = 0
) -> Standing:
    """The mean wins over shuffles.

    Args:
        score_KM: higher is better, a row a benchmark, in the order of the rounds.
        drop: models that are out after each round.
    """
    rng = np.random.default_rng(seed)
    total_M, squares_M = np.zeros(score_KM.shape[1]), np.zeros(score_KM.shape[1])
    for start in range(0, num_shuffles, AT_ONCE):
        wins_SM = play(score_KM, drop, min(AT_ONCE, num_shuffles - start), rng)
        total_M += wins_SM.sum(0)
        squares_M += (wins_SM**2).sum(0)
    mean_M = total_M / num_shuffles
    variance_M = np.maximum(squares_M / num_shuffles - mean_M**2, 0)
    return Standing(mean_M, np.sqrt(variance_M / num_shuffles))


def failure_sensitivity(wins_TM: np.ndarray) -> np.ndarray:
    """The slope (M,) of the expected wins over `DROPS`: below 0 for a model that early failures cost much."""
    return np.polyfit(DROPS, wins_TM, 1)[0]


def play(score_KM: np.ndarray, drop: int, num_shuffles: int, rng: np.random.Generator) -> np.ndarray:
    """The wins (S, M) of as many tournaments."""
    num = score_KM.shape[1]
    wins_SM = np.zeros((num_shuffles, num))
    out_SM = np.zeros((num_shuffles, num), dtype=bool)
    met_SMM = np.zeros((num_shuffles, num, num), dtype=bool)
    rows_S1 = np.arange(num_shuffles)[:, None]
    num_left = num
    for score_M in score_KM:
        order_SM = _sorted(wins_SM, out_SM, rng)[:, :num_left]
        opponent_SM = pair(order_SM, met_SMM)
        theirs_SM = np.take_along_axis(np.broadcast_to(score_M, wins_SM.shape), opponent_SM, 1)
        ours_SM = score_M[order_SM]
        won_SM = np.where(ours_SM == theirs_SM, 0.5, ours_SM > theirs_SM)
        won_SM[opponent_SM == order_SM] = 1.0  # a bye
        wins_SM[rows_S1, order_SM] += won_SM
        met_SMM[rows_S1, order_SM, opponent_SM] = True
        num_left = max(2, num_left - drop) if num > 1 else num_left
        dropped_SD = _sorted(wins_SM, out_SM, rng)[:, num_left:]
        out_SM[rows_S1, dropped_SD] = True
    return wins_SM


def pair(order_SM: np.ndarray, met_SMM: np.ndarray) -> np.ndarray:
    """The opponent of each place of the order: the next free model that was not met, else the next free one.

    Args:
        order_SM: the models that are still in, the best first.
        met_SMM: who has met whom, among all models.

    Returns:
        Models, (S, places); one that has no opponent has itself.
    """
    num_shuffles, num = order_SM.shape
    rows_S = np.arange(num_shuffles)
    free_SM = np.ones(order_SM.shape, dtype=bool)
    opponent_SM = order_SM.copy()
    for place in range(num - 1):
        here_S = order_SM[:, place]
        later_SM = free_SM[:, place + 1 :]
        new_SM = later_SM & ~met_SMM[rows_S[:, None], here_S[:, None], order_SM[:, place + 1 :]]
        choice_SM = np.where(new_SM.any(1, keepdims=True), new_SM, later_SM)
        paired_S = free_SM[:, place] & choice_SM.any(1)
        rows, places = rows_S[paired_S], place + 1 + choice_SM[paired_S].argmax(1)
        opponent_SM[rows, place] = order_SM[rows, places]
        opponent_SM[rows, places] = here_S[paired_S]
        free_SM[rows, place] = free_SM[rows, places] = False
    return opponent_SM


def _sorted(wins_SM: np.ndarray, out_SM: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Models by falling wins, ties shuffled, those that are out last."""
    return np.argsort(np.where(out_SM, np.inf, -wins_SM + 0.25 * rng.random(wins_SM.shape)), axis=1)
