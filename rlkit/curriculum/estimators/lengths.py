"""How long a prompt's completions will be: its own mean length, shrunk toward that of all prompts.

    length_i = (PRIOR * mean length + sum of weight * length) / (PRIOR + sum of weight)

Weights fall by `decay` a group of the prompt's own; the mean over all prompts runs with `MEMORY`. A prompt
never rolled out has the mean.
"""

from typing import Any

import numpy as np

from rlkit.prompts.pool import PromptPool
from rlkit.types import Groups

PRIOR = 4.0
"""Completions that the mean over all prompts counts as (ours)."""
MEMORY = 0.9
"""Weight of the past in the mean over all prompts (ours)."""
DECAY = 0.5
"""Weight of a prompt's earlier groups at each new one (ours)."""


class Lengths:
    """Predicted tokens of a completion, a prompt each."""

    def bind(self, pool: PromptPool) -> None:
        self._pool = pool
        self._mean = 1.0
        self._seen = False
        self._sum_N = np.zeros(len(pool), dtype=np.float32)
        self._count_N = np.zeros(len(pool), dtype=np.float32)

    def predict(self, index_N: np.ndarray) -> np.ndarray:
        """(N,) tokens; 1 each before the first group, when nothing is known."""
        own_N = self._sum_N[index_N].astype(float)
        return (PRIOR * self._mean + own_N) / (PRIOR + self._count_N[index_N])

    def observe(self, groups: Groups) -> None:
        if len(groups) == 0:
            return
        length_P, size_P = groups.length_PG.sum(axis=1), groups.size_P
        latest = float(length_P.sum() / size_P.sum())
        self._mean = MEMORY * self._mean + (1 - MEMORY) * latest if self._seen else latest
        self._seen = True
        index = groups.index_P
        self._sum_N[index] = DECAY * self._sum_N[index] + length_P
        self._count_N[index] = DECAY * self._count_N[index] + size_P

    def state_dict(self) -> dict[str, Any]:
        return {"mean": self._mean, "seen": self._seen, "sum_N": self._sum_N, "count_N": self._count_N}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._mean, self._seen = state["mean"], state["seen"]
        self._sum_N = self._pool.carried(state["sum_N"], 0)
        self._count_N = self._pool.carried(state["count_N"], 0)
