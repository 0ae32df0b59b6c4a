"""Tiers in proportions that move from easy to hard (RMT, Reinforcement Mid-Training, arXiv 2509.24375).

    q_t = p1 for t <= 0.3 T,  (1 - s) p1 + s p2 with s = (t / T - 0.3) / 0.4,  p2 from 0.7 T on

t counts the steps from 0 and T is `num_steps`. The schedule is the paper's; p1 and p2, which were not found,
are ours. A tier that the data do not have gives its share to the others, in their proportions.
"""

from typing import ClassVar

import numpy as np

from rlkit.curriculum.estimators import Senses
from rlkit.curriculum.estimators.categories import Categories
from rlkit.prompts.pool import PromptPool

TIERS = ("easy", "medium", "hard")
FIRST = np.array([0.6, 0.3, 0.1])
LAST = np.array([0.1, 0.3, 0.6])
LEAVES, ARRIVES = 0.3, 0.7
"""Shares of the run between which the proportions move (the paper's)."""


class Tiers(Categories):
    """Draws the tier, then a prompt within it.

    Args:
        num_steps: T, steps of the run.
    """

    name = "rmt"
    column: ClassVar = "tier"
    initial: ClassVar = {}

    def __init__(self, *, num_steps: int):
        self.num_steps = num_steps

    def bind(self, pool: PromptPool, senses: Senses) -> None:
        """Raises ValueError where the `tier` column is missing or holds other names."""
        super().bind(pool, senses)
        self.pool = pool
        others = [name for name in self.names if name not in TIERS]
        if others:
            raise ValueError(
                f"curriculum='rmt' looks at `tier`, which holds {', '.join(map(repr, others[:3]))}"
                f"{', ...' if len(others) > 3 else ''}; there are: {', '.join(TIERS)}"
            )
        self._tier_C = np.array([TIERS.index(name) for name in self.names])

    def distribution(self) -> np.ndarray:
        q_C = mixture((self.pool.step + 1) / self.num_steps)[self._tier_C]
        return q_C / q_C.sum()


def mixture(progress: float) -> np.ndarray:
    """Shares of easy, medium and hard at t / T. 0.5 -> [0.35, 0.3, 0.35]"""
    moved = min(max((progress - LEAVES) / (ARRIVES - LEAVES), 0.0), 1.0)
    return (1 - moved) * FIRST + moved * LAST
