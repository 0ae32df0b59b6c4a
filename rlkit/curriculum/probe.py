"""A probe: prompts of the pool that are rolled out only to be looked at, never trained on."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rlkit.prompts.pool import PromptPool
from rlkit.types import Groups, Prediction, Proposal


@dataclass(frozen=True)
class Probe:
    """`share` batches of random prompts, rolled out before the other rounds of every `every`-th step.

    `learn` gets their graded groups; they are not scored against a prediction, as none was made.
    """

    share: float
    every: int
    learn: Callable[[Groups], None]

    def size(self, step: int, num_groups: int) -> int:
        """Prompts to roll out at this step; 0 at most steps."""
        return 0 if step % self.every else math.ceil(self.share * num_groups)

    def draw(self, num: int, pool: PromptPool, group_size: int, rng: np.random.Generator) -> Proposal:
        """`num` prompts of the whole pool at random, or all there are, without those that cannot be used.

        Nothing is predicted of them.
        """
        start = time.perf_counter()
        index = rng.choice(len(pool), min(num, len(pool)), replace=False)
        index = index[pool.usable(index)]
        count_P, neutral = np.full(len(index), group_size), Prediction.neutral(len(index))
        return Proposal(index, count_P, neutral, 0, time.perf_counter() - start)
