"""Only prompts whose perplexity under the present policy lies in a band: both tails are passed over.

The rule of BFS-Prover-V2 (arXiv 2509.06493), where proofs are dropped by the perplexity of their tactics:
what is nearly certain teaches nothing, and what is far off is often broken. Here it is the prompt's own
perplexity, which one prefill shows before a completion is paid for. The band is of quantiles among the latest
prompts that were looked at; the first step's are admitted unseen.
"""

from collections import deque
from typing import Any

import numpy as np

from rlkit.curriculum.estimators import Senses
from rlkit.curriculum.estimators.neutral import Neutral
from rlkit.prompts.pool import PromptPool
from rlkit.types import Groups, Prediction

RECENT = 1024
"""Prompts that tell the band: enough for a tail of a tenth, few enough to follow the policy (ours)."""
FEWEST = 32
"""Prompts before there is a band."""


class PerplexityBand(Neutral):
    """No opinion on the prompts that it admits.

    Args:
        low, high: quantiles of perplexity, 0 to 1, between which a prompt is admitted.
    """

    def __init__(self, low: float = 0.1, high: float = 0.9):
        self.low, self.high = low, high
        self._recent: deque[float] = deque(maxlen=RECENT)
        self._num_looked = self._num_dropped = 0
        # Before the run there is no policy to read with, and the whole pool is asked of admission.
        self._has_begun = False

    def bind(self, pool: PromptPool, senses: Senses) -> None:
        """Raises ValueError where the host has no policy to read prompts with."""
        if "perplexity" not in senses.shows:
            raise ValueError(
                "curriculum='perplexity_band' reads each prompt with the policy, and this host has none; "
                "use CurriculumGRPOTrainer, or another preset"
            )
        self._senses = senses

    def admission(self, index_N: np.ndarray) -> np.ndarray:
        """1 inside the band, 0 outside of it."""
        if not self._has_begun:
            return np.ones(len(index_N))
        log_perplexity_N = -self._senses.read(index_N, None, None).prompt_N  # type: ignore[operator]
        finite_N = np.isfinite(log_perplexity_N)
        self._recent.extend(log_perplexity_N[finite_N].tolist())
        if len(self._recent) < FEWEST:
            return np.ones(len(index_N))
        low, high = np.quantile(self._recent, [self.low, self.high])
        admitted_N = finite_N & (log_perplexity_N >= low) & (log_perplexity_N <= high)
        self._num_looked += len(index_N)
        self._num_dropped += int((~admitted_N).sum())
        return admitted_N.astype(float)

    def observe(self, groups: Groups, prediction: Prediction) -> None:
        self._has_begun = True

    def metrics(self) -> dict[str, float]:
        """Median perplexity of the latest prompts, and the share of all that was dropped."""
        if not self._recent:
            return {}
        return {
            "perplexity_band/median": float(np.exp(np.median(self._recent))),
            "perplexity_band/dropped": self._num_dropped / max(self._num_looked, 1),
        }

    def state_dict(self) -> dict[str, Any]:
        return {
            "has_begun": self._has_begun,
            "recent": list(self._recent),
            "num_looked": self._num_looked,
            "num_dropped": self._num_dropped,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._has_begun = state["has_begun"]
        self._recent = deque(state["recent"], maxlen=RECENT)
        self._num_looked, self._num_dropped = state["num_looked"], state["num_dropped"]
