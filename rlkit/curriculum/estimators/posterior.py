"""Each prompt's success rate as a Beta distribution, counted from its own groups (MoPPS, arXiv 2507.04632).

    a = prior + S,  b = prior + F,  S <- decay * S + successes,  F <- decay * F + failures

which is the paper's a <- decay * a + (1 - decay) * prior + successes, and b likewise. A graded signal counts
as a part of a success. A decay of 1 counts all groups alike, 0 only the latest. Only prompts that were
rolled out decay. Left out: the released code's reset to (8, 8) for groups of one, which is a slip there.
"""

from typing import Any

import numpy as np

from rlkit.curriculum.estimators import Senses
from rlkit.curriculum.scale import Scale
from rlkit.prompts.pool import PromptPool
from rlkit.types import Groups, Prediction


class Posterior:
    """Beta(a, b) a prompt.

    Args:
        prior: a and b of a prompt that was never rolled out; above 0.
        decay: weight of the past at each new group, 0 to 1.
        scale: the signal's range.
    """

    def __init__(self, *, prior: float = 1.0, decay: float = 1.0, scale: Scale | None = None):
        self.prior, self.decay, self.scale = prior, decay, scale or Scale()

    def bind(self, pool: PromptPool, senses: Senses) -> None:
        self.pool = pool
        self._success_N = np.zeros(len(pool), dtype=np.float32)
        self._failure_N = np.zeros(len(pool), dtype=np.float32)

    def predict(self, index_N: np.ndarray) -> Prediction:
        """Mean and standard deviation of Beta(a, b); the variance expected of a completion is E[p(1 - p)]."""
        a_N = self.prior + self._success_N[index_N].astype(float)
        b_N = self.prior + self._failure_N[index_N].astype(float)
        total_N = a_N + b_N
        spread_N = a_N * b_N / (total_N * (total_N + 1))
        return self.scale.prediction(a_N / total_N, spread_N, np.sqrt(spread_N / total_N))

    def observe(self, groups: Groups, prediction: Prediction) -> None:
        scored = groups.count_P > 0
        index, count = groups.index_P[scored], groups.count_P[scored]
        success = self.scale.share(groups.mean_P[scored]) * count
        self._success_N[index] = self.decay * self._success_N[index] + success
        self._failure_N[index] = self.decay * self._failure_N[index] + (count - success)

    def measured(self, index_N: np.ndarray) -> np.ndarray:
        """The mean without the prior, as a share; NaN where nothing was rolled out."""
        success_N = self._success_N[index_N].astype(float)
        count_N = success_N + self._failure_N[index_N]
        return np.where(count_N > 0, success_N / np.where(count_N > 0, count_N, 1), np.nan)

    def state_dict(self) -> dict[str, Any]:
        return {"success_N": self._success_N, "failure_N": self._failure_N}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._success_N = self.pool.carried(state["success_N"], 0)
        self._failure_N = self.pool.carried(state["failure_N"], 0)

    def metrics(self) -> dict[str, float]:
        return {}
