"""The true success rates, where somebody knows them: the limit of what choosing prompts can gain.

In order of preference: a function given by the caller, the host (the simulator knows its policy), the data's
`pass_rate` column (measured once, so it goes stale as the policy learns).
"""

from collections.abc import Callable

import numpy as np

from rlkit.curriculum.estimators import Senses
from rlkit.curriculum.estimators.neutral import Neutral
from rlkit.pool import PromptPool
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
        pass_rate_N = pool.column("pass_rate")
        if pass_rate_N is None:
            raise ValueError(
                "curriculum='oracle' needs the true success rates, and the data set has no `pass_rate` "
                "column; add one (share of right completions, 0 to 1), or use another preset"
            )
        rate_N = pass_rate_N.astype(float)
        if np.isnan(rate_N).any():
            raise ValueError(
                f"`pass_rate` is missing in {int(np.isnan(rate_N).sum())} of {len(rate_N)} rows; drop "
                "those rows, or use another preset"
            )
        if not ((rate_N >= 0) & (rate_N <= 1)).all():
            raise ValueError(
                f"`pass_rate` must lie in 0 to 1, got {rate_N.min()} to {rate_N.max()}; "
                "divide percentages by 100"
            )
        self._truth = lambda index_N: rate_N[index_N]

    def predict(self, index_N: np.ndarray) -> Prediction:
        assert self._truth is not None, "bind comes first"
        mean_N = np.asarray(self._truth(index_N), dtype=float)
        return Prediction(mean_N, mean_N * (1 - mean_N), np.zeros(len(mean_N)))
