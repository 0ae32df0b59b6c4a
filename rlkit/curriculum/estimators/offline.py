"""Success rates measured before the run (`pass_rate` column), and subsets and orders made from them.

The rates are of the policy that they were measured with and do not change. They are noisy: a prompt with 0 of
8 right may well be solvable. Ties in a subset fall by the prompts' keys, so that a subset is the same
whatever the order of the rows.
"""

from collections.abc import Callable

import numpy as np

from rlkit.curriculum.estimators import Senses
from rlkit.curriculum.estimators.columns import rates
from rlkit.curriculum.estimators.neutral import Neutral
from rlkit.curriculum.scale import Scale
from rlkit.prompts.pool import PromptPool
from rlkit.types import Prediction

Keep = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From rates and keys, both (N,), to which prompts are kept, (N,)."""


class Offline(Neutral):
    """Predicts p and p(1-p) of the column; learns nothing.

    Args:
        preset: its name, for messages.
        keep: which prompts are admitted at all; None keeps all.
        easy_first: each pass of the stream goes from the greatest rate to the least (Mordig et al.,
            arXiv 2603.27226, found no robust gain of it).
        scale: the signal's range.
    """

    def __init__(
        self,
        preset: str,
        *,
        keep: Keep | None = None,
        easy_first: bool = False,
        scale: Scale | None = None,
    ):
        self.preset, self.keep, self.easy_first, self.scale = preset, keep, easy_first, scale or Scale()

    def bind(self, pool: PromptPool, senses: Senses) -> None:
        self.rate_N = rates(pool, self.preset)
        self.kept_N = np.ones(len(pool), dtype=bool)
        if self.keep is not None:
            self.kept_N = self.keep(self.rate_N, pool.key_N)
        self._kept_share = float(self.kept_N.mean())
        if self.easy_first:
            pool.sort_by(-self.rate_N)

    def admission(self, index_N: np.ndarray) -> np.ndarray:
        return self.kept_N[index_N].astype(float)

    def predict(self, index_N: np.ndarray) -> Prediction:
        rate_N = self.rate_N[index_N]
        return self.scale.prediction(rate_N, rate_N * (1 - rate_N), np.zeros(len(rate_N)))

    def metrics(self) -> dict[str, float]:
        return {"offline/kept": self._kept_share}


def unsaturated(rate_N: np.ndarray, key_N: np.ndarray) -> np.ndarray:
    """Neither always nor never solved: PCL's baseline "Pre-filter" (arXiv 2510.01135)."""
    return (rate_N > 0) & (rate_N < 1)


def solvable(rate_N: np.ndarray, key_N: np.ndarray) -> np.ndarray:
    """Solved at least once: RIF-RFT (arXiv 2507.05386)."""
    return rate_N > 0


def ranked(rate_N: np.ndarray, key_N: np.ndarray, which: str, share: float) -> np.ndarray:
    """The "hard", "medium", "easy" or "random" share of all prompts (Pikus et al., arXiv 2508.14094).

    Rates [0, .5, 1, .75], share .25: hard -> prompt 0, easy -> 2; medium is the middle. Rounded up.
    """
    by = key_N if which == "random" else rate_N
    order = np.lexsort((key_N, by))
    num = min(int(np.ceil(share * len(order) - 1e-9)), len(order))
    first = {"hard": 0, "random": 0, "medium": (len(order) - num) // 2, "easy": len(order) - num}[which]
    kept_N = np.zeros(len(order), dtype=bool)
    kept_N[order[first : first + num]] = True
    return kept_N
