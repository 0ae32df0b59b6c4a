"""Bayesian linear regression with forgetting on blocks of plain numbers, in closed form.

    y = x . w + noise,   w_b ~ Normal(0, 1 / alpha_b) for each block b,   noise ~ Normal(0, 1 / beta) / weight

A group loses half of its weight every so many groups: sums of x x' and x y, discounted, are all that is kept
(recursive least squares). The precisions follow the evidence by MacKay's fixed point (Bayesian Interpolation,
1992), once a round: with gamma_b = d_b - alpha_b tr(S_bb) the numbers that block b has learned,

    alpha_b <- gamma_b / |w_b|^2,   1 / beta <- (discounted squared error) / (n - sum of gamma)

Several half-lives run side by side, and are averaged by their probabilities: the sum of the log densities of
what came lately, each given all before, is the half-life's log evidence. The variance of these predictions is
the posterior's.
"""

from typing import Any

import numpy as np

HALF_LIVES = (125.0, 1000.0, 8000.0)
"""Groups after which a group counts half."""
MEMORY = 0.98
"""Weight of the earlier rounds, a round, in the evidence of the half-lives."""
START_EVIDENCE = 1.5
"""For a half-life over the next shorter one: a policy moves slowly until it shows otherwise."""
PRECISION_BOUNDS = (1e-2, 1e6)
START_NOISE = 0.1
PRIOR = 10.0
"""Precision of a block's weights before the evidence speaks."""


class NumbersRidge:
    """Regression of one target on (N, 1 + K) numbers, the first of them a constant.

    Args:
        block_K: the block of each number but the constant, from 0.
        prior: precision of each block's weights before anything is learned.
        half_lives: in groups.
    """

    def __init__(self, block_K: np.ndarray, prior: float = PRIOR, half_lives: tuple[float, ...] = HALF_LIVES):
        self.half_lives = half_lives
        self._block_D = np.append(0, 1 + block_K)
        num, width = len(half_lives), len(self._block_D)
        self._second_HDD = np.zeros((num, width, width))
        self._first_HD = np.zeros((num, width))
        self._squares_H, self._count_H = np.zeros(num), np.zeros(num)
        self._precision_HB = np.full((num, self._block_D.max() + 1), prior)
        self._precision_HB[:, 0] = PRECISION_BOUNDS[0]
        self._noise_H = np.full(num, START_NOISE)
        self._weights_HD = np.zeros((num, width))
        self._spread_HDD = np.zeros((num, width, width))
        self._evidence_H = START_EVIDENCE * np.arange(num, dtype=float)
        for k in range(num):
            self._solve(k)

    @property
    def share_H(self) -> np.ndarray:
        """The posterior probability of each half-life, (H,)."""
        weight_H = np.exp(self._evidence_H - self._evidence_H.max())
        return weight_H / weight_H.sum()

    def predict(self, x_ND: np.ndarray) -> np.ndarray:
        """(N,) the value of each x: the half-lives' mean."""
        return x_ND @ (self.share_H @ self._weights_HD)

    def _predict(self, x_ND: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of each value by one half-life, without the noise."""
        spread_N = np.einsum("nd,nd->n", x_ND @ self._spread_HDD[k], x_ND)
        return x_ND @ self._weights_HD[k], np.maximum(spread_N, 0)

    def learn(self, x_PD: np.ndarray, y_P: np.ndarray, weight_P: np.ndarray) -> None:
        """Takes in a round; a weight of 2 is as two groups of the same outcome."""
        if len(y_P) == 0:
            return
        for k, half_life in enumerate(self.half_lives):
            mean_P, spread_P = self._predict(x_PD, k)
            total_P = spread_P + self._noise_H[k] / np.maximum(weight_P, 1e-6)
            density = -0.5 * np.sum((np.log(total_P) + (y_P - mean_P) ** 2 / total_P)[weight_P > 0])
            self._evidence_H[k] = MEMORY * self._evidence_H[k] + density
            kept = 0.5 ** (len(y_P) / half_life)
            weighted_PD = x_PD * weight_P[:, None]
            self._second_HDD[k] = kept * self._second_HDD[k] + x_PD.T @ weighted_PD
            self._first_HD[k] = kept * self._first_HD[k] + weighted_PD.T @ y_P
            self._squares_H[k] = kept * self._squares_H[k] + weight_P @ y_P**2
            self._count_H[k] = kept * self._count_H[k] + np.count_nonzero(weight_P)
            self._follow_evidence(k)
            self._solve(k)

    def _follow_evidence(self, k: int) -> None:
        """One step of the fixed point, from the last solution's precisions."""
        self._solve(k)
        weights_D, variance_D = self._weights_HD[k], np.diag(self._spread_HDD[k])
        error = self._squares_H[k] - 2 * weights_D @ self._first_HD[k]
        error += weights_D @ self._second_HDD[k] @ weights_D
        learned = 0.0
        for block in range(1, self._precision_HB.shape[1]):
            own = self._block_D == block
            gamma = max(own.sum() - self._precision_HB[k, block] * variance_D[own].sum(), 1e-3)
            learned += gamma
            self._precision_HB[k, block] = np.clip(
                gamma / max(weights_D[own] @ weights_D[own], 1e-12), *PRECISION_BOUNDS
            )
        # The prior counts as two groups, so that the first round does not settle it.
        left = max(self._count_H[k] - learned - 1, 1.0)
        self._noise_H[k] = (max(error, 0) + 2 * START_NOISE) / (left + 2)

    def _solve(self, k: int) -> None:
        beta = 1 / self._noise_H[k]
        precision_DD = beta * self._second_HDD[k] + np.diag(self._precision_HB[k][self._block_D])
        self._spread_HDD[k] = np.linalg.inv(precision_DD)
        self._weights_HD[k] = beta * self._spread_HDD[k] @ self._first_HD[k]

    def state_dict(self) -> dict[str, Any]:
        return {name: np.copy(getattr(self, f"_{name}")) for name in STATE}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name in STATE:
            setattr(self, f"_{name}", np.array(state[name]))


STATE = (
    "second_HDD",
    "first_HD",
    "squares_H",
    "count_H",
    "precision_HB",
    "noise_H",
    "weights_HD",
    "spread_HDD",
    "evidence_H",
)
