"""What the policy says of the gold answer: log-likelihoods, by one prefill.

    log p(gold | prompt): sum, mean of its tokens, first token;  p of the whole and of the first token

The prompt's own likelihood adds nothing (LOG.md). The policy is never shown the gold as a part of a prompt
that it answers. A gold in GSM8K's form counts from `####` on. Where a row has no gold, its numbers are
missing.
"""

from typing import Any

import numpy as np

from rlkit.curriculum.estimators.features.hashed import Hashed
from rlkit.curriculum.estimators.features.readings import OfPolicy, numbers_alone


class Likelihood(OfPolicy):
    """Five plain numbers."""

    name = "likelihood"

    def look(self, index_N: np.ndarray, rows: list[dict[str, Any]]) -> Hashed:
        reading = self.readings(index_N, rows)
        assert reading.likelihood_N3 is not None
        likely_N2 = np.exp(reading.likelihood_N3[:, [0, 2]])
        return numbers_alone(np.concatenate([reading.likelihood_N3, likely_N2], axis=1))
