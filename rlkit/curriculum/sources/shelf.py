"""Groups kept for later steps, by a source that trains on them again or rolls out the rest of them.

The shelf holds what came out, by prompt; the host holds the completions of the same prompts, with the
policy's logprobs when it made them, so that the importance ratio is that of the policy which sampled.
"""

from typing import Any

import numpy as np

from rlkit.curriculum.estimators.positions import positions_among
from rlkit.prompts.pool import PromptPool
from rlkit.types import Batch, Groups

COLUMNS = ("signal_PG", "reward_PG", "length_PG", "age_PG", "share_P")


class Shelf:
    """At most one group a prompt, the newest; none older than `max_age` generations when it is used.

    Args:
        capacity: groups held; the oldest go first.
        max_age: generations after which a group goes.
    """

    def __init__(self, capacity: int, max_age: int):
        self.capacity, self.max_age = capacity, max_age
        self.groups = Groups.empty()

    def bind(self, pool: PromptPool) -> None:
        self._pool = pool

    def store(self, batch: Batch) -> None:
        """Takes in what a batch leaves for later steps."""
        raise NotImplementedError

    @property
    def index(self) -> np.ndarray:
        """Pool indices of the prompts on the shelf, oldest groups first."""
        return self.groups.index_P

    def of(self, index_P: np.ndarray) -> Groups:
        """The groups of these prompts."""
        return self.groups.take(positions_among(self.index, index_P))

    def put(self, groups: Groups, gone: np.ndarray) -> None:
        """Takes in groups of the generation that ends, after those of the prompts `gone` were removed."""
        gone = np.concatenate([gone, groups.index_P])
        left = self.groups.take(np.flatnonzero(~np.isin(self.index, gone)))
        both = Groups.concatenate([part for part in (left, groups) if len(part)] or [groups]).older()
        age_K = both.age_PG.max(axis=1, initial=0)
        fresh = np.flatnonzero(age_K <= self.max_age)
        self.groups = both.take(fresh[-self.capacity :])

    def drop(self, index_K: np.ndarray) -> None:
        """Gives up the groups of these prompts."""
        self.groups = self.groups.take(np.flatnonzero(~np.isin(self.index, index_K)))

    def metrics(self) -> dict[str, float]:
        age_K = self.groups.age_PG.max(axis=1, initial=0)
        return {
            "shelf/groups": float(len(self.groups)),
            "shelf/age": float(age_K.mean()) if len(age_K) else 0,
        }

    def state_dict(self) -> dict[str, Any]:
        groups = self.groups
        return {
            "key_K": self._pool.key_N[groups.index_P],
            **{name: getattr(groups, name) for name in COLUMNS},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores the groups of the prompts that the data still has."""
        index_K = self._pool.find(np.asarray(state["key_K"]))
        columns: dict[str, Any] = {name: np.asarray(state[name]) for name in COLUMNS if name in state}
        groups = Groups(index_K, **columns)
        self.groups = groups.take(np.flatnonzero(index_K >= 0))
