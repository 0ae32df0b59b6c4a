"""The policy's hidden states of a prompt: of one layer, at the last token and the mean over all tokens.

Each is centered and scaled to unit length. A middle layer shows more than the last (LOG.md), and where
nothing else is read it costs half.
"""

from typing import Any

import numpy as np

from rlkit.curriculum.estimators.features.hashed import Hashed
from rlkit.curriculum.estimators.features.readings import OfPolicy, numbers_alone

WIDTH = 256
"""Numbers that wider states are projected to, by fixed random directions: as good (LOG.md), and quick."""


class States(OfPolicy):
    """2 H plain numbers of a policy whose states have H, `WIDTH` at most."""

    name = "states"

    def look(self, index_N: np.ndarray, rows: list[dict[str, Any]]) -> Hashed:
        state_N2H = self.readings(index_N, rows).state_N2H
        assert state_N2H is not None
        with np.errstate(invalid="ignore", over="ignore"):  # what is no number is the head's to replace
            centered_N2H = state_N2H - state_N2H.mean(axis=2, keepdims=True)
            length_N21 = np.linalg.norm(centered_N2H, axis=2, keepdims=True)
            state_NK = (centered_N2H / np.maximum(length_N21, 1e-12)).reshape(len(index_N), -1)
            if state_NK.shape[1] > WIDTH:
                directions_KW = np.random.default_rng(0).normal(size=(state_NK.shape[1], WIDTH))
                state_NK = state_NK @ directions_KW.astype(np.float32)
        return numbers_alone(state_NK)
