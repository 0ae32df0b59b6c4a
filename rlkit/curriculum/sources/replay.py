"""Replay: where a batch misses some groups, trained groups of earlier steps train again (SSB).

A share of each batch may be theirs before anything is rolled out (rollout replay; DOTS, arXiv 2506.05316).

They are drawn without replacement in proportion to their mean absolute advantage,
mean |r - mean| / (std + 1e-4), std unbiased as TRL's (Skywork R1V2, arXiv 2504.16656). What was drawn stays
until it is too old or its prompt is rolled out anew.
"""

import math
from typing import Any

import numpy as np

from rlkit.curriculum.filling import Filling, as_proposed
from rlkit.curriculum.sources.shelf import Shelf
from rlkit.curriculum.sources.source import Host, Source
from rlkit.types import REPLAYED, Batch, Groups


class Trained(Shelf):
    """Informative groups that were trained on."""

    def draw(self, num: int, exclude: np.ndarray, rng: np.random.Generator) -> Groups:
        """Up to `num` groups, of prompts outside of `exclude`."""
        possible = np.flatnonzero(~np.isin(self.index, exclude))
        weight = mean_absolute_advantage(self.groups.reward_PG[possible])
        # The num greatest of log(weight) + Gumbel noise are a weighted draw without replacement.
        order = np.argsort(-(np.log(weight) + rng.gumbel(size=len(possible))), kind="stable")
        return self.groups.take(possible[order[:num]])

    def store(self, batch: Batch) -> None:
        """Keeps the informative groups that were trained on for the first time."""
        fresh = batch.trained_P & (batch.round_P != REPLAYED)
        useful = np.flatnonzero(fresh & batch.groups.informative_P)
        self.put(batch.groups.take(useful), gone=batch.groups.index_P[batch.round_P != REPLAYED])


class Replay(Source):
    """Fills what the sources before it left free.

    Args:
        capacity: groups kept; the oldest go first.
        max_age: generations after which a group goes.
        share: of a batch, that is its own beforehand, by `Ahead`.
    """

    shelf: Trained

    def __init__(self, capacity: int, max_age: int, share: float = 0.0):
        self.shelf, self.share = Trained(capacity, max_age), share

    def fill(self, filling: Filling, host: Host) -> None:
        self.add(filling.missing, filling, host)

    def add(self, num: int, filling: Filling, host: Host) -> None:
        """Up to `num` groups: the main process's choice, on every process."""
        drawn = self.shelf.draw(num, filling.index, self.owner.rng)
        if len(drawn):
            filling.replay(self.shelf.of(host.agree(as_proposed(drawn)).index_P))

    def numbers(self) -> dict[str, Any]:
        return {"replay_share": self.share}


class Ahead(Source):
    """Gives replay its share of the batch before anything is rolled out, so that less is."""

    def __init__(self, replay: Replay):
        self.replay = replay

    def fill(self, filling: Filling, host: Host) -> None:
        self.replay.add(math.floor(self.replay.share * filling.num_groups), filling, host)


def mean_absolute_advantage(reward_PG: np.ndarray) -> np.ndarray:
    """Of each group, (P,), scaled by its standard deviation. [[1, 0]] -> 0.5 / (0.7071 + 0.0001) = 0.707"""
    deviation_PG = reward_PG - np.nanmean(reward_PG, axis=1, keepdims=True)
    return np.nanmean(np.abs(deviation_PG), axis=1) / (np.nanstd(reward_PG, axis=1, ddof=1) + 1e-4)
