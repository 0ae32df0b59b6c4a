"""Rows to learn from, one after the other: shuffled passes that need no state."""

from typing import Any

import numpy as np

from rlkit.prompts.pool import PromptPool


class Lessons:
    """The rows of the accepted keys, in shuffled passes that depend on the place alone."""

    def __init__(self, pool: PromptPool, accepted: set[str]):
        self.pool, self.accepted = pool, accepted
        self.index_N = np.array([i for i, key in enumerate(pool.key_N.astype(str)) if key in accepted])

    def taken(self, start: int, num: int) -> list[dict[str, Any]]:
        """Rows `start` to `start + num` of the passes."""
        size = len(self.index_N)
        turns = range(start // size, (start + num - 1) // size + 1)
        order = {turn: np.random.default_rng((self.pool.seed, turn)).permutation(size) for turn in turns}
        position_R = [order[place // size][place % size] for place in range(start, start + num)]
        return self.pool.take(self.index_N[position_R])
