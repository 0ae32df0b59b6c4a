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
        self._solve()

    @property
    def share_H(self) -> np.ndarray:
        """The posterior probability of each half-life, (H,)."""
        weight_H = np.exp(self._evidence_H - self._evidence_H.max())
        return weight_H / weight_H.sum()

    def predict(self, x_ND: np.ndarray) -> np.ndarray:
        """(N,) the value of each x: the half-lives' mean."""
        return x_ND @ (self.share_H @ self._weights_HD)

    def learn(self, x_PD: np.ndarray, y_P: np.ndarray, weight_P: np.ndarray) -> None:
        """Takes in a round; a weight of 2 is as two groups of the same outcome."""
        if len(y_P) == 0:
            return
        self._evidence_H = MEMORY * self._evidence_H + self._log_density(x_PD, y_P, weight_P)
        kept_H = 0.5 ** (len(y_P) / np.array(self.half_lives))
        weighted_PD = x_PD * weight_P[:, None]
        self._second_HDD = kept_H[:, None, None] * self._second_HDD + x_PD.T @ weighted_PD
        self._first_HD = kept_H[:, None] * self._first_HD + weighted_PD.T @ y_P
        self._squares_H = kept_H * self._squares_H + weight_P @ y_P**2
        self._count_H = kept_H * self._count_H + np.count_nonzero(weight_P)
        self._solve()
        self._follow_evidence()
        self._solve()

    def _log_density(self, x_PD: np.ndarray, y_P: np.ndarray, weight_P: np.ndarray) -> np.ndarray:
        """(H,) of a round's outcomes by each half-life, up to a constant."""
        mean_HP = self._weights_HD @ x_PD.T
        spread_HP = np.maximum(np.einsum("hpd,pd->hp", x_PD @ self._spread_HDD, x_PD), 0)
        total_HP = spread_HP + self._noise_H[:, None] / np.maximum(weight_P, 1e-6)
        return -0.5 * (np.log(total_HP) + (y_P - mean_HP) ** 2 / total_HP)[:, weight_P > 0].sum(axis=1)

    def _follow_evidence(self) -> None:
        """One step of the fixed point, from the last solution's precisions."""
        weights_HD = self._weights_HD
        variance_HD = np.diagonal(self._spread_HDD, axis1=1, axis2=2)
        error_H = self._squares_H - 2 * np.sum(weights_HD * self._first_HD, axis=1)
        error_H += np.einsum("hd,hde,he->h", weights_HD, self._second_HDD, weights_HD)
        learned_H = np.zeros(len(error_H))
        for block in range(1, self._precision_HB.shape[1]):
            own_D = self._block_D == block
            variance_H = variance_HD[:, own_D].sum(axis=1)
            gamma_H = np.maximum(own_D.sum() - self._precision_HB[:, block] * variance_H, 1e-3)
            learned_H += gamma_H
            self._precision_HB[:, block] = np.clip(
                gamma_H / np.maximum(np.sum(weights_HD[:, own_D] ** 2, axis=1), 1e-12), *PRECISION_BOUNDS
            )
        # The prior counts as two groups, so that the first round does not settle it.
        left_H = np.maximum(self._count_H - learned_H - 1, 1.0)
        self._noise_H = (np.maximum(error_H, 0) + 2 * START_NOISE) / (left_H + 2)

    def _solve(self) -> None:
        beta_H = 1 / self._noise_H
        precision_HDD = beta_H[:, None, None] * self._second_HDD
        diagonal = np.arange(len(self._block_D))
        precision_HDD[:, diagonal, diagonal] += self._precision_HB[:, self._block_D]
        self._spread_HDD = np.linalg.inv(precision_HDD)
        self._weights_HD = beta_H[:, None] * np.einsum("hde,he->hd", self._spread_HDD, self._first_HD)

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
