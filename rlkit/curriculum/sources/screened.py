"""Rounds that look before they spend: the first completions of a prompt decide about the others (SPEED).

A prompt first gets `screen` completions. Where these pass the filter it gets the rest of its group, in this
step as far as groups are missing, else in a later one, before any new prompt (arXiv 2506.09016).
"""

from dataclasses import replace
from typing import Any

import numpy as np

from rlkit.curriculum.filling import Filling, UnfilledBatchError, as_proposed
from rlkit.curriculum.filters import KEPT, WAITING, Filter
from rlkit.curriculum.selectors import Selector
from rlkit.curriculum.sources.rounds import Rounds
from rlkit.curriculum.sources.shelf import Shelf
from rlkit.curriculum.sources.source import Host, Owner
from rlkit.types import Batch, Groups, Prediction, Proposal


class Waiting(Shelf):
    """Promising groups of which only the first completions exist."""

    def oldest(self, num: int) -> Groups:
        return self.groups.take(np.arange(min(num, len(self.groups))))

    def store(self, batch: Batch) -> None:
        """Keeps the groups that wait for the rest of their completions."""
        waiting = np.setdiff1d(np.flatnonzero(batch.reason_P == WAITING), batch.chosen_B)
        self.put(batch.groups.take(waiting), gone=batch.groups.index_P)


class Screened(Rounds):
    """SPEED's rounds.

    Args:
        screen: completions that a prompt gets at first.
        capacity: groups that may wait for the rest of theirs; the oldest go first.
        max_age: generations after which such a group is given up.
        The others are those of `Rounds`.
    """

    shelf: Waiting

    def __init__(
        self, selector: Selector, filter: Filter, *, screen: int, capacity: int, max_age: int, **rounds: Any
    ):
        super().__init__(selector, filter, **rounds)
        self.screen, self.shelf = screen, Waiting(capacity, max_age)

    def bind(self, owner: Owner, num_groups: int) -> None:
        if self.screen >= owner.group_size:
            raise ValueError(
                f"screen ({self.screen}) must be below num_generations ({owner.group_size}): the first "
                "completions of a group decide whether the others are made; lower screen or raise "
                "num_generations"
            )
        super().bind(owner, num_groups)

    @property
    def first_count(self) -> int:
        return self.screen

    def fill(self, filling: Filling, host: Host) -> None:
        """The groups that wait from earlier steps, oldest first, then fresh rounds."""
        waiting = self.shelf.oldest(filling.num_groups)
        if len(waiting):
            self.add(filling, as_proposed(waiting), self._with_rest(waiting, filling, host))
        super().fill(filling, host)

    def rollout(self, proposal: Proposal, filling: Filling, host: Host) -> Groups:
        return self._with_rest(host.rollout(proposal), filling, host)

    def _with_rest(self, groups: Groups, filling: Filling, host: Host) -> Groups:
        """The groups, with the rest of the completions of as many promising ones as are still wanted."""
        num = host.whole(filling.missing, self.owner.group_size - self.screen)
        return self._extended(groups, np.flatnonzero(self.filter(groups) == KEPT)[:num], host)

    def _extended(self, groups: Groups, positions: np.ndarray, host: Host) -> Groups:
        missing_P = self.owner.group_size - groups.size_P[positions]
        neutral = Prediction.neutral(len(positions))
        rest = host.agree(
            Proposal(groups.index_P[positions], missing_P, neutral, 0, 0.0, groups.share_P[positions])
        )
        num = len(rest.index_P)
        return groups.extended(positions[:num], host.rollout(rest)) if num else groups

    def judge(self, groups: Groups) -> np.ndarray:
        reason_P = super().judge(groups)
        reason_P[(reason_P == KEPT) & (groups.size_P < self.owner.group_size)] = WAITING
        return reason_P

    def propose(self, num: int, exclude: np.ndarray) -> Proposal:
        return super().propose(num, np.union1d(exclude, self.shelf.index))

    def complete(self, batch: Batch, host: Host) -> Batch:
        """Groups that only fill the batch up get the rest of their completions too.

        Raises:
            UnfilledBatchError: the processes cannot share these completions.
        """
        group_size, size_P = self.owner.group_size, batch.groups.size_P
        short = batch.chosen_B[size_P[batch.chosen_B] < group_size]
        if len(short) == 0:
            return batch
        # Equal shares for all processes may take more groups than are short.
        others = np.setdiff1d(np.flatnonzero(size_P < group_size), short)
        num = host.whole(len(short), group_size - self.screen)
        groups = self._extended(batch.groups, np.concatenate([short, others])[:num], host)
        if (groups.size_P[short] < group_size).any():
            raise UnfilledBatchError(
                f"{len(short)} screened groups are to be completed and the processes cannot share their "
                f"completions equally; choose screen ({self.screen}) so that what is left of a group of "
                f"{group_size} is a multiple of the number of processes"
            )
        return replace(batch, groups=groups)
