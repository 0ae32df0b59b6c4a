"""A probe: prompts that are rolled out only to be looked at, never trained on (the references of DOTS)."""

import math
import time
from collections.abc import Callable

import numpy as np

from rlkit.curriculum.filling import Filling
from rlkit.curriculum.filters import REFERENCE
from rlkit.curriculum.sources.source import Host, Source
from rlkit.types import Groups, Prediction, Proposal


class Probe(Source):
    """`share` batches of random prompts, rolled out before the other rounds of every `every`-th step.

    `learn` gets their graded groups; they are not scored against a prediction, as none was made.
    """

    def __init__(self, share: float, every: int, learn: Callable[[Groups], None]):
        self.share, self.every, self.learn = share, every, learn

    def fill(self, filling: Filling, host: Host) -> None:
        size = self.size(self.owner.step, filling.num_groups)
        if size == 0:
            return
        proposal = host.agree(self.propose(host.whole(size, self.owner.group_size)))
        if len(proposal.index_P) == 0:
            return
        groups = host.rollout(proposal)
        start = time.perf_counter()
        self.owner.pool.observe(groups.index_P, self.owner.step)
        self.learn(self.owner.signal_range.checked(groups, self.owner.step))
        reasons = np.full(len(groups), REFERENCE, dtype=object)
        filling.add(proposal, groups, reasons, time.perf_counter() - start)

    def size(self, step: int, num_groups: int) -> int:
        """Prompts to roll out at this step; 0 at most steps."""
        return 0 if step % self.every else math.ceil(self.share * num_groups)

    def propose(self, num: int) -> Proposal:
        """`num` prompts of the whole pool at random, or all there are, without those that cannot be used.

        Nothing is predicted of them.
        """
        start = time.perf_counter()
        pool = self.owner.pool
        index = self.owner.rng.choice(len(pool), min(num, len(pool)), replace=False)
        index = index[pool.usable(index)]
        count_P, neutral = np.full(len(index), self.owner.group_size), Prediction.neutral(len(index))
        return Proposal(index, count_P, neutral, 0, time.perf_counter() - start)
