"""Three pools by a prompt's latest group: hard, normal and easy, each drawn with its own weight (prime-rl).

    hard: mean <= low,  normal: low < mean <= high (and every prompt never rolled out),  easy: mean > high

A prompt that the stream reaches is admitted with its pool's weight divided by the greatest one, and with
`floor` at least. Left out: prime-rl draws with replacement; here a prompt comes at most once a pass.
"""

from typing import Any

import numpy as np

from rlkit.curriculum.estimators import Senses
from rlkit.curriculum.estimators.posterior import Posterior
from rlkit.curriculum.scale import Scale
from rlkit.prompts.pool import PromptPool
from rlkit.types import Groups, Prediction

UNSEEN, HARD, NORMAL, EASY = range(4)
ROUNDING = 1e-6
"""Counts are float32: a measured 0.25 must belong to a pool that ends at 0.25."""


class Pools(Posterior):
    """The latest group of each prompt, by pool.

    Args:
        low, high: the normal pool's bounds, as shares of the signal's range.
        hard_weight, easy_weight: of a prompt in these pools; a normal or unseen one has 1.
        floor: least probability that a prompt is admitted.
        scale: the signal's range.
    """

    def __init__(
        self,
        *,
        low: float = 0.25,
        high: float = 0.75,
        hard_weight: float = 0.2,
        easy_weight: float = 0.2,
        floor: float = 0.01,
        scale: Scale | None = None,
    ):
        super().__init__(decay=0.0, scale=scale)
        self.low, self.high = low, high
        weight = np.array([1.0, hard_weight, 1.0, easy_weight])
        self._admission_of_pool = np.maximum(weight / weight.max(), floor)
        self._count_of_pool = np.zeros(4, dtype=np.int64)

    def bind(self, pool: PromptPool, senses: Senses) -> None:
        super().bind(pool, senses)
        self._count_of_pool = np.array([len(pool), 0, 0, 0])

    def pool_of(self, index_N: np.ndarray) -> np.ndarray:
        mean_N = self.measured(index_N)
        seen_N = np.where(
            mean_N <= self.low + ROUNDING, HARD, np.where(mean_N <= self.high + ROUNDING, NORMAL, EASY)
        )
        return np.where(np.isnan(mean_N), UNSEEN, seen_N)

    def admission(self, index_N: np.ndarray) -> np.ndarray:
        return self._admission_of_pool[self.pool_of(index_N)]

    def observe(self, groups: Groups, prediction: Prediction) -> None:
        self._count_of_pool -= np.bincount(self.pool_of(groups.index_P), minlength=4)
        super().observe(groups, prediction)
        self._count_of_pool += np.bincount(self.pool_of(groups.index_P), minlength=4)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self._count_of_pool = np.bincount(self.pool_of(np.arange(len(self.pool))), minlength=4)

    def metrics(self) -> dict[str, float]:
        """Shares of the whole set that lie in each pool; the rest was never rolled out."""
        shares = self._count_of_pool / len(self.pool)
        return {f"pools/{name}": float(shares[code]) for name, code in _NAMES.items()}


_NAMES = {"hard": HARD, "normal": NORMAL, "easy": EASY}
