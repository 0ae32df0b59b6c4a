"""Rounds that refill from a bank of prompts whose groups varied most lately (VCRL).

    priority <- momentum * priority + (1 - momentum) * variance / (greatest variance of a group of this size)

starting at the first share (arXiv 2509.19803; the momentum is from memory of the paper). A prompt is in the
bank while its priority is `floor` or more. A step's first round is of the stream; those that refill it take
prompts of the bank first.
"""

import heapq
from typing import Any

import numpy as np

from rlkit.curriculum.filters import Filter, variance_share
from rlkit.curriculum.sources.rounds import Rounds
from rlkit.curriculum.sources.source import Owner
from rlkit.prompts.pool import PromptPool
from rlkit.types import Groups, Prediction, Proposal


class Bank:
    """Running variance of each prompt, and the prompts where it is high.

    Args:
        momentum: weight of the past at each new group of a prompt.
        floor: least priority of a prompt in the bank, as a share of the greatest variance.
        width: of the signal's range.
    """

    def __init__(self, *, momentum: float = 0.9, floor: float = 0.8, width: float = 1.0):
        self.momentum, self.floor, self.width = momentum, floor, width

    def bind(self, pool: PromptPool) -> None:
        self.pool = pool
        self._priority_N = np.full(len(pool), np.nan, dtype=np.float32)
        self._members: dict[int, float] = {}

    def observe(self, groups: Groups) -> None:
        share_P = variance_share(groups, self.width)
        for index, share in zip(groups.index_P.tolist(), share_P.tolist(), strict=True):
            if np.isnan(share):
                continue
            before = float(self._priority_N[index])
            priority = share if np.isnan(before) else self.momentum * before + (1 - self.momentum) * share
            self._priority_N[index] = priority
            if priority >= self.floor:
                self._members[index] = priority
            else:
                self._members.pop(index, None)

    def recall(self, num: int, exclude: np.ndarray) -> np.ndarray:
        """Up to `num` prompts of the bank outside of `exclude`, greatest priority first."""
        excluded = set(exclude.tolist())
        possible = [(-priority, index) for index, priority in self._members.items() if index not in excluded]
        return np.array([index for _, index in heapq.nsmallest(num, possible)], dtype=np.int64)

    def metrics(self) -> dict[str, float]:
        return {"bank/prompts": float(len(self._members))}

    def state_dict(self) -> dict[str, Any]:
        return {"priority_N": self._priority_N}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._priority_N = self.pool.carried(state["priority_N"], np.nan)
        members = np.flatnonzero(self._priority_N >= self.floor)
        self._members = dict(zip(members.tolist(), self._priority_N[members].tolist(), strict=True))


class Banked(Rounds):
    """VCRL's rounds.

    Args:
        bank: what is recalled, learned from every graded group.
        filter: of all steps but the first ones.
        early_filter, early_steps: the filter of the first steps of a run, and how many those are.
        The others are those of `Rounds`.
    """

    def __init__(self, bank: Bank, filter: Filter, *, early_filter: Filter, early_steps: int, **rounds: Any):
        super().__init__(filter=filter, **rounds)
        self.bank, self.early_filter, self.early_steps = bank, early_filter, early_steps

    def bind(self, owner: Owner, num_groups: int) -> None:
        self.bank.bind(owner.pool)
        super().bind(owner, num_groups)

    def draw(self, num: int, wanted: int, exclude: np.ndarray) -> np.ndarray:
        if self._is_first:
            return super().draw(num, wanted, exclude)
        recalled = self.bank.recall(wanted, np.concatenate([exclude, self.owner.pool.usable.aside]))
        rest = self.owner.pool.draw(wanted - len(recalled), np.concatenate([exclude, recalled]))
        return np.concatenate([recalled, rest])

    def propose(self, num: int, exclude: np.ndarray) -> Proposal:
        self._is_first = len(exclude) == 0
        return super().propose(num, exclude)

    def judge(self, groups: Groups) -> np.ndarray:
        return self.early_filter(groups) if self.owner.step < self.early_steps else super().judge(groups)

    def learn(self, groups: Groups, prediction: Prediction) -> None:
        super().learn(groups, prediction)
        self.bank.observe(groups)

    def metrics(self) -> dict[str, float]:
        return {**super().metrics(), **self.bank.metrics()}

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "bank": self.bank.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.bank.load_state_dict(state["bank"])
