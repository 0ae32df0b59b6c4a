"""One share for all prompts, which follows the mean signal (after G2RPO-A, arXiv 2508.13023, ACL 2026).

Every `period` steps, with the mean signal of the last of them and that of those before it,

    share <- share * past / last,   in LEAST to 1, the factor in 1/2 to 2

so that it falls when the signal rises. The factor is the released code's (period 3, as there), which leaves
the share alone where either is 0; here a last step without any success doubles it, as nothing else would.
There the share is a length in tokens, and 2 of 12 completions of a group get it; here all do.
"""

from typing import Any

import numpy as np

from rlkit.curriculum.hints.effect import Effect
from rlkit.curriculum.hints.rule import below
from rlkit.curriculum.scale import Scale
from rlkit.prompts.pool import PromptPool
from rlkit.types import Groups

LEAST = 0.01
"""The share never falls below this, so that it can grow again; the code's least is one token."""


class Guided:
    """The share, and the mean signals of the period so far.

    Args:
        start: the share at first.
        period: steps between two changes, 2 or more.
        scale: the signal's range.
    """

    price = 0.0

    def __init__(self, *, start: float, period: int, scale: Scale):
        self.share, self.period, self.scale = start, period, scale
        self._means: list[float] = []
        self._sum = self._count = 0.0
        self._step = -1

    def bind(self, pool: PromptPool, effect: Effect) -> None:
        self.pool = pool

    def choose(
        self, index_N: np.ndarray, possible: list[np.ndarray], logit_N: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """The greatest cut of each solution that is not above the share."""
        return np.array([below(shares, self.share) for shares in possible])

    def observe(self, groups: Groups) -> None:
        """A step's groups may come in several rounds; its mean is complete when the next one begins."""
        if self.pool.step != self._step:
            self._end_step()
            self._step = self.pool.step
        mean_P = self.scale.share(groups.mean_P[groups.count_P > 0])
        self._sum, self._count = self._sum + float(mean_P.sum()), self._count + len(mean_P)

    def _end_step(self) -> None:
        if self._count == 0:
            return
        self._means.append(self._sum / self._count)
        self._sum = self._count = 0.0
        if len(self._means) == self.period:
            past, last = float(np.mean(self._means[:-1])), self._means[-1]
            factor = 2.0 if last == 0 else float(np.clip(past / last, 0.5, 2.0))
            self.share = float(np.clip(self.share * factor, LEAST, 1.0))
            self._means = []

    def metrics(self) -> dict[str, float]:
        return {"hints/guidance": self.share}

    def state_dict(self) -> dict[str, Any]:
        return {
            "share": self.share,
            "means": list(self._means),
            "sum": self._sum,
            "count": self._count,
            "step": self._step,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.share, self._means, self._step = state["share"], list(state["means"]), state["step"]
        self._sum, self._count = state["sum"], state["count"]
