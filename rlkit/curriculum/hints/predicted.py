"""The share that makes a prompt worth most, as predicted, less a price on help (ours).

    worth = p(share) * (1 - p(share)) * (1 - price * share)

p is that of `effect.py`: on top of any estimator's unaided prediction. At a price of 1 a group counts by the
part of the solution that is left to the policy. The selector then sees each prompt at its best share, with
the price taken off, so that of two prompts of the same variance it takes the unaided one.
"""

from typing import Any

import numpy as np

from rlkit.curriculum.hints.effect import Effect
from rlkit.prompts.pool import PromptPool
from rlkit.types import Groups


class Predicted:
    """Nothing of its own: what it knows is the effect's.

    Args:
        price: of a whole solution, as a share of the variance, 0 to 1.
    """

    def __init__(self, *, price: float):
        self.price = price

    def bind(self, pool: PromptPool, effect: Effect) -> None:
        self._effect = effect

    def choose(
        self, index_N: np.ndarray, possible: list[np.ndarray], logit_N: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        share_NK = np.zeros((len(possible), max(map(len, possible), default=1)))
        for row_K, share_K in zip(share_NK, possible, strict=True):
            row_K[: len(share_K)] = share_K
        p_NK = self._effect.success(logit_N[:, None], share_NK)
        worth_NK = p_NK * (1 - p_NK) * (1 - self.price * share_NK)
        return share_NK[np.arange(len(possible)), np.argmax(worth_NK, axis=1)]  # of equals the least

    def observe(self, groups: Groups) -> None:
        pass

    def metrics(self) -> dict[str, float]:
        return {}

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass
