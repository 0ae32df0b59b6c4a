"""The true success rates, where somebody knows them: the limit of what choosing prompts can gain.

In order of preference: a function given by the caller, the host (the simulator knows its policy), the data's
`pass_rate` column (measured once, so it goes stale as the policy learns).
"""

from collections.abc import Callable

import numpy as np

from rlkit.curriculum.estimators import Senses
from rlkit.curriculum.estimators.columns import rates
from rlkit.curriculum.estimators.neutral import Neutral
from rlkit.prompts.pool import PromptPool
from rlkit.types import Prediction


class Oracle(Neutral):
    """Predicts p and p(1-p); learns nothing.

    Args:
        truth: from (N,) pool indices to (N,) success rates now.
    """

    def __init__(self, truth: Callable[[np.ndarray], np.ndarray] | None = None):
        self._truth = truth

    def bind(self, pool: PromptPool, senses: Senses) -> None:
        if self._truth is not None:
            return
        if senses.truth(np.arange(min(1, len(pool)))) is not None:
            self._truth = senses.truth  # type: ignore[assignment]
            return
        rate_N = rates(pool, "oracle")
        self._truth = lambda index_N: rate_N[index_N]

    def predict(self, index_N: np.ndarray) -> Prediction:
        assert self._truth is not None, "bind comes first"
        mean_N = np.asarray(self._truth(index_N), dtype=float)
        return Prediction(mean_N, mean_N * (1 - mean_N), np.zeros(len(mean_N)))
