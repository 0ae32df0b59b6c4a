"""A curriculum under verl's V1 trainer: its filter acts, and rounds refill what it dropped.

Everything of a step is over when verl saves, so a state has nothing open.
"""

from pathlib import Path

import numpy as np

from rlkit.collect import not_full, too_few
from rlkit.curriculum.curriculum import Curriculum
from rlkit.curriculum.filling import Filling, UnfilledBatchError
from rlkit.hosts.verl.course import Course
from rlkit.prompts.pool import PromptPool
from rlkit.types import Groups

MOST_EMPTY = 3
"""Rounds in a row of which no group came back, after which the run ends."""


class RefilledCourse(Course):
    """A course of steps of several rounds; see `Course`.

    Raises:
        ValueError: the preset needs what verl's trainer cannot do.
    """

    def __init__(
        self, curriculum: Curriculum, pool: PromptPool, batch_size: int, group_size: int, folder: Path
    ):
        super().__init__(curriculum, pool, batch_size, group_size, folder)
        if curriculum.fill == "shrink":
            raise ValueError(
                f"curriculum={curriculum.name!r} with fill=shrink: verl's batches have as many groups each "
                "step; use fill=top_up or error"
            )
        self._filling: Filling | None = None
        self._unserved = np.empty(0, dtype=np.int64)
        self._names: list[str] = []
        self._rounds = self._empty = 0

    @property
    def most_rows(self) -> int:
        """Prompts that a step may ask for at most."""
        size = self.curriculum.num_groups
        return (self._source.max_rounds + MOST_EMPTY) * (self._source.round_size(size, size) + size)

    def _check_filter(self, curriculum: Curriculum) -> None:
        """It acts."""

    def propose(self, num: int) -> np.ndarray:
        """Pool indices of the next `num` prompts of the round; a step's first round is a batch."""
        if self._filling is None:
            if self._ledger is None:
                self._open(generation=0)
            self._filling, self._names = Filling(self.curriculum.num_groups), []
            self._rounds = self._empty = 0
            self._step += 1
            self._ask(self.curriculum.num_groups)
        served, self._unserved = self._unserved[:num], self._unserved[num:]
        return served

    def _ask(self, num: int) -> None:
        assert self._filling is not None
        self._proposal = self._source.propose(num, exclude=self._filling.index)
        self._unserved = self._proposal.index_P

    def graded(self, groups: Groups | None, names: list[str], unit: int = 1) -> int:
        """Takes in the groups of a round, each of which teaches, and begins another where some are missing.

        Args:
            groups: None where none came back.
            names: the trainer's own, one a group.
            unit: the trainer asks for a multiple of so many prompts.

        Returns:
            The prompts of the round that begins; 0 where the step is full, or its rounds are used up.

        Raises:
            RuntimeError: no group came back, again and again.
        """
        assert self._filling is not None
        self._rounds += 1
        self._empty = self._empty + 1 if groups is None else 0
        if self._empty == MOST_EMPTY:
            raise RuntimeError(f"no group of {MOST_EMPTY} rounds came back; verl's log says why")
        if groups is not None:
            groups, proposal, order = self._in_order(groups)
            self._filling.add(proposal, groups, self._source.observe(groups, proposal))
            self._names += [names[place] for place in order.tolist()]
        missing, size = self._filling.missing, self.curriculum.num_groups
        is_short = len(self._names) < size  # of groups to train on at all
        is_over = self._rounds >= self._source.max_rounds or self._filling.hopeless
        if missing == 0 or (is_over and not is_short):
            return 0
        wanted = self._source.round_size(missing, size)
        self._ask(-(-wanted // unit) * unit)
        assert self._proposal is not None
        whole = len(self._proposal.index_P) // unit * unit
        self._proposal = self._proposal.take(np.arange(whole))
        self._unserved = self._proposal.index_P
        return whole

    def finish(self) -> list[str]:
        """Ends the step; the names of the groups to train on.

        Raises:
            UnfilledBatchError: too few groups were kept, and fill is "error"; or too few came back at all.
        """
        assert self._filling is not None
        size = self.curriculum.num_groups
        if len(self._names) < size:
            raise UnfilledBatchError(too_few(self.curriculum, self._filling))
        batch = self._filling.finish(self.curriculum.fill)
        self._finish(batch)
        if batch.fill == "error":
            raise UnfilledBatchError(not_full(batch, size))
        self._filling = self._proposal = None
        return [self._names[place] for place in batch.chosen_B.tolist()]
