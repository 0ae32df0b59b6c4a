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
        return np.array(
            [self._best(shares, logit) for shares, logit in zip(possible, logit_N.tolist(), strict=True)]
        )

    def _best(self, share_K: np.ndarray, logit: float) -> float:
        """Of equals the least."""
        p_K = self._effect.success(np.full(len(share_K), logit), share_K)
        return float(share_K[np.argmax(p_K * (1 - p_K) * (1 - self.price * share_K))])

    def observe(self, groups: Groups) -> None:
        pass

    def metrics(self) -> dict[str, float]:
        return {}

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass
