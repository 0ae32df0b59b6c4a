"""The policy's last hidden state at the end of the prompt.

It is what the policy is about to answer from, and what DOTS and PCL look at; the simulator shows what its
prompts look like in its place.
"""

from typing import Any

import numpy as np

from rlkit.curriculum.estimators import Senses
from rlkit.curriculum.estimators.features.feature import Feature
from rlkit.curriculum.estimators.features.hashed import Hashed
from rlkit.prompts.pool import PromptPool


class LastState(Feature):
    """(N, D) numbers, no terms."""

    static = False

    def bind(self, pool: PromptPool, senses: Senses) -> None:
        self._senses = senses

    def look(self, index_N: np.ndarray, rows: list[dict[str, Any]]) -> Hashed:
        no_terms = np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.float32)
        return Hashed(np.zeros(len(index_N) + 1, dtype=np.int64), *no_terms, self._senses.features(index_N))
