"""The "linear" backbone's head: Bayesian linear regression with forgetting on the policy's hidden state.

    mean = 1/2 + x . w,   variance = mean * (1 - mean) * (1 + x . u),   x = (h / |h|, 1)

with h the centered last hidden state. w and u are ridge regressions in which a round counts `FORGETTING` of
the one after it (recursive least squares): closed form, no learning rate, a fraction of a millisecond where
h has 64 numbers. Wider states than `WIDTH` are projected on that many random directions first.

u is 0, the prior, for binary rewards: there a group's variance follows from its mean.
"""

from typing import Any

import numpy as np

from rlkit.curriculum.estimators import Senses
from rlkit.prompts.pool import PromptPool

FORGETTING, PENALTY = 0.97, 0.1
"""Ours, from the addition task (LOG.md): 0.95 to 0.98 do as well."""
WIDTH = 512
EDGE = 0.005
"""The predicted mean stays so far from 0 and 1."""


class LinearHead:
    """Predicts mean and variance, on a scale of 0 to 1; `seed` is of the random directions."""

    def __init__(self, seed: int):
        self.seed = seed
        self.loss = float("nan")
        self._moments: dict[str, np.ndarray] = {}
        self._weights_2D: np.ndarray | None = None
        self._directions_HD: np.ndarray | None = None

    def bind(self, pool: PromptPool, senses: Senses) -> None:
        self._senses = senses

    def look(self, index_N: np.ndarray) -> np.ndarray:
        """(N, D) the x of each prompt."""
        state_NH = self._senses.features(index_N).astype(float)
        state_NH = state_NH - state_NH.mean(axis=1, keepdims=True)
        width = state_NH.shape[1]
        if width > WIDTH:
            if self._directions_HD is None:
                self._directions_HD = np.random.default_rng(self.seed).normal(size=(width, WIDTH))
            state_NH = state_NH @ self._directions_HD
        norm_N1 = np.linalg.norm(state_NH, axis=1, keepdims=True)
        return np.concatenate([state_NH / np.maximum(norm_N1, 1e-12), np.ones((len(state_NH), 1))], axis=1)

    def take(self, features: np.ndarray, positions: np.ndarray) -> np.ndarray:
        return features[positions]

    def predict(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance, (N,) each, the mean inside (0, 1) and the variance possible for it."""
        if self._weights_2D is None:
            return np.full(len(features), 0.5), np.full(len(features), 0.25)
        linear_2N = self._weights_2D @ features.T
        mean_N = np.clip(0.5 + linear_2N[0], EDGE, 1 - EDGE)
        return mean_N, mean_N * (1 - mean_N) * np.clip(1 + linear_2N[1], 0.02, 1)

    def learn(self, features: np.ndarray, mean: np.ndarray, variance: np.ndarray, count: np.ndarray) -> None:
        """Takes in a round's groups: features, mean, unbiased variance and scored completions."""
        self.loss = float(np.mean((self.predict(features)[0] - mean) ** 2))
        # What the variance would be if the rewards were binary, without bias; one completion says nothing.
        binary = np.where(count > 1, mean * (1 - mean) + variance / count, 0.0)
        # A prompt's own difficulty varies more than the flips of a group: more of them say little more.
        weight = count / (count + 1)
        self._weights_2D = np.stack(
            [
                self._regress("mean", features, mean - 0.5, weight),
                # In quarters, the greatest variance, so that the penalty weighs as much.
                self._regress("spread", 4 * binary[:, None] * features, 4 * (variance - binary), weight),
            ]
        )

    def _regress(self, name: str, x_PD: np.ndarray, y_P: np.ndarray, weight_P: np.ndarray) -> np.ndarray:
        """Ridge weights (D,) of y on x, with all earlier rounds discounted."""
        second_DD, first_D = x_PD.T @ (x_PD * weight_P[:, None]), x_PD.T @ (y_P * weight_P)
        if f"{name}_DD" in self._moments:
            second_DD = second_DD + FORGETTING * self._moments[f"{name}_DD"]
            first_D = first_D + FORGETTING * self._moments[f"{name}_D"]
        self._moments |= {f"{name}_DD": second_DD, f"{name}_D": first_D}
        return np.linalg.solve(second_DD + PENALTY * np.eye(len(first_D)), first_D)

    def state_dict(self) -> dict[str, Any]:
        return {"moments": dict(self._moments), "weights_2D": self._weights_2D}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._moments = {name: np.array(value) for name, value in state["moments"].items()}
        weights = state["weights_2D"]
        self._weights_2D = None if weights is None else np.array(weights)
