"""VCRL's memory bank: prompts whose groups varied most lately come back where a batch misses some.

    priority <- momentum * priority + (1 - momentum) * variance / (greatest variance of a group of this size)

starting at the first share (arXiv 2509.19803; the momentum is from memory of the paper). A prompt is in the
bank while its priority is `floor` or more. It predicts nothing: candidates come from the stream.
"""

import heapq
from typing import Any

import numpy as np

from rlkit.curriculum.estimators import Senses
from rlkit.curriculum.filters import variance_share
from rlkit.prompts.pool import PromptPool
from rlkit.types import Groups, Prediction


class Bank:
    """Running variance of each prompt, and the prompts where it is high.

    Args:
        momentum: weight of the past at each new group of a prompt.
        floor: least priority of a prompt in the bank, as a share of the greatest variance.
        width: of the signal's range.
    """

    def __init__(self, *, momentum: float = 0.9, floor: float = 0.8, width: float = 1.0):
        self.momentum, self.floor, self.width = momentum, floor, width

    def bind(self, pool: PromptPool, senses: Senses) -> None:
        self.pool = pool
        self._priority_N = np.full(len(pool), np.nan, dtype=np.float32)
        self._members: dict[int, float] = {}

    def predict(self, index_N: np.ndarray) -> Prediction:
        return Prediction.neutral(len(index_N))

    def observe(self, groups: Groups, prediction: Prediction) -> None:
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
