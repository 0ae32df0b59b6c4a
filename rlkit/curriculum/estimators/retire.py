"""Mastered prompts leave the stream, and are looked at again now and then.

A prompt whose measured success is at least `mastered` is admitted with probability `floor` only. With all its
groups counted alike this is ScaleRL's no-positive-resampling (arXiv 2510.13786), with the latest group alone
Progressive Data Dropout (arXiv 2505.22342): there from `revision_pass` on every prompt returns. The looks at
retired prompts are ours: the paper retires for good, and a policy that forgets would never be told. Left out:
dropout's evaluation of the prompts that it skips, which is free in a classifier and costs rollouts here.
"""

from typing import Any

import numpy as np

from rlkit.curriculum.estimators import Senses
from rlkit.curriculum.estimators.posterior import Posterior
from rlkit.prompts.pool import PromptPool
from rlkit.types import Groups, Prediction

ROUNDING = 1e-6
"""Counts are float32: a measured 0.9 must reach a threshold of 0.9."""


class Retire(Posterior):
    """A posterior that admits what is not mastered.

    Args:
        mastered: least measured mean, as a share of the range, of a retired prompt.
        floor: probability that a retired prompt is admitted when the stream reaches it.
        revision_pass: the pass of the stream, from 0, from which on everything is admitted; None for never.
    """

    def __init__(
        self, *, mastered: float = 0.9, floor: float = 0.05, revision_pass: int | None = None, **counting: Any
    ):
        super().__init__(**counting)
        self.mastered, self.floor, self.revision_pass = mastered, floor, revision_pass
        self._num_retired = 0

    def bind(self, pool: PromptPool, senses: Senses) -> None:
        super().bind(pool, senses)
        self._num_retired = 0

    def retired(self, index_N: np.ndarray) -> np.ndarray:
        # NaN, never rolled out, compares as False.
        return self.measured(index_N) >= self.mastered - ROUNDING

    def admission(self, index_N: np.ndarray) -> np.ndarray:
        if self.revision_pass is not None and self.pool.num_passes >= self.revision_pass:
            return np.ones(len(index_N))
        return np.where(self.retired(index_N), self.floor, 1.0)

    def observe(self, groups: Groups, prediction: Prediction) -> None:
        before = int(self.retired(groups.index_P).sum())
        super().observe(groups, prediction)
        self._num_retired += int(self.retired(groups.index_P).sum()) - before

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self._num_retired = int(self.retired(np.arange(len(self.pool))).sum())

    def metrics(self) -> dict[str, float]:
        return {"retire/retired": self._num_retired / len(self.pool)}
