"""A bandit over categories (SEC, Self-Evolving Curriculum, arXiv 2505.14970).

    Q(c) <- decay * Q(c) + (1 - decay) * r(c),  q(c) = softmax(Q(c) / temperature)

r(c) is the mean absolute advantage of the category's completions in this round, |signal - mean| / std within
their group (from memory of the paper: for a binary signal 2 sqrt(p(1 - p)), greatest at one half), 0 in a
group without variance. Categories that were not rolled out keep their Q, which starts at 0.
"""

from typing import ClassVar

import numpy as np

from rlkit.curriculum.estimators.categories import Categories
from rlkit.types import INFORMATIVE_VARIANCE, Groups, Prediction


class Bandit(Categories):
    """Boltzmann sampling of categories.

    Args:
        decay: weight of the old Q; the paper's learning rate is 1 - decay.
        temperature: of the softmax; Q lies in 0 to 1.
    """

    name = "sec"
    initial: ClassVar = {"q": 0.0}

    def __init__(self, *, decay: float = 0.5, temperature: float = 0.2):
        self.decay, self.temperature = decay, temperature

    def distribution(self) -> np.ndarray:
        score_C = self.kept["q"] / self.temperature
        weight_C = np.exp(score_C - score_C.max())
        return weight_C / weight_C.sum()

    def observe(self, groups: Groups, prediction: Prediction) -> None:
        scored = groups.count_P > 0
        index = groups.index_P[scored]
        count_C = self.totals(index, np.ones(len(index)))
        reward_C = self.totals(index, absolute_advantage(groups)[scored]) / np.maximum(count_C, 1)
        updated_C = self.decay * self.kept["q"] + (1 - self.decay) * reward_C
        self.kept["q"] = np.where(count_C > 0, updated_C, self.kept["q"])


def absolute_advantage(groups: Groups) -> np.ndarray:
    """Mean of |signal - mean| / std within each group, (P,). [1, 0, 0, 0] -> 0.866"""
    deviation_PG = np.abs(groups.signal_PG - groups.mean_P[:, None])
    total_P = np.where(np.isnan(deviation_PG), 0.0, deviation_PG).sum(axis=1)
    variance_P = np.nan_to_num(groups.variance_P)
    varied_P = variance_P > INFORMATIVE_VARIANCE
    divisor_P = np.maximum(groups.count_P, 1) * np.sqrt(np.where(varied_P, variance_P, 1.0))
    return np.where(varied_P, total_P / divisor_P, 0.0)
