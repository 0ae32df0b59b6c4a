"""A stochastic binary search for each prompt's share (after AdaBack, arXiv 2506.18110, ICLR 2026).

Each prompt has an interval of shares, at first (0, 1). The share is drawn uniformly from it and rounded to
the nearest cut of the solution inside of it. When the group is graded,

    mean >= tau: upper <- share, else lower <- share;
    then lower <- (1 - widening) * lower, upper <- upper + widening * (1 - upper)

The paper's exact update and its tau were not found: these, the rounding and the widening are ours.
"""

from typing import Any

import numpy as np

from rlkit.curriculum.hints.effect import Effect
from rlkit.curriculum.hints.rule import below
from rlkit.curriculum.scale import Scale
from rlkit.prompts.pool import PromptPool
from rlkit.types import Groups


class AdaBack:
    """An interval a prompt.

    Args:
        tau: least mean of a group that lowers the upper end, as a share of the signal's range.
        widening: share of its way to 0 and to 1 that each end goes back after a group.
        scale: the signal's range.
    """

    price = 0.0

    def __init__(self, *, tau: float, widening: float, scale: Scale):
        self.tau, self.widening, self.scale = tau, widening, scale

    def bind(self, pool: PromptPool, effect: Effect) -> None:
        self.pool = pool
        self.lower_N = np.zeros(len(pool))
        self.upper_N = np.ones(len(pool))

    def choose(
        self, index_N: np.ndarray, possible: list[np.ndarray], logit_N: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        lower_N, upper_N = self.lower_N[index_N], self.upper_N[index_N]
        drawn_N = lower_N + rng.random(len(index_N)) * (upper_N - lower_N)
        ends = zip(possible, drawn_N.tolist(), lower_N.tolist(), upper_N.tolist(), strict=True)
        return np.array([_nearest(*each) for each in ends])

    def observe(self, groups: Groups) -> None:
        scored = np.flatnonzero(groups.count_P > 0)
        index, share = groups.index_P[scored], groups.share_P[scored]
        reached = self.scale.share(groups.mean_P[scored]) >= self.tau
        lower = np.where(reached, np.minimum(self.lower_N[index], share), share)
        upper = np.where(reached, share, np.maximum(self.upper_N[index], share))
        self.lower_N[index] = (1 - self.widening) * lower
        self.upper_N[index] = upper + self.widening * (1 - upper)

    def metrics(self) -> dict[str, float]:
        """Means over the pool."""
        return {"hints/lower": float(self.lower_N.mean()), "hints/upper": float(self.upper_N.mean())}

    def state_dict(self) -> dict[str, Any]:
        return {"lower_N": self.lower_N, "upper_N": self.upper_N}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.lower_N = self.pool.carried(state["lower_N"], 0)
        self.upper_N = self.pool.carried(state["upper_N"], 1)


def _nearest(shares: np.ndarray, drawn: float, lower: float, upper: float) -> float:
    """The share nearest to `drawn` in lower to upper; where none is there, the next below.

    _nearest([0, 0.4, 0.8], 0.65, 0.5, 0.7) -> 0.4
    """
    inside = shares[(shares >= lower) & (shares <= upper)]
    if len(inside) == 0:
        return below(shares, upper)
    return float(inside[np.argmin(np.abs(inside - drawn))])
