"""What a hint does to a prompt's success: a shift of its logit, learned online in closed form (ours).

    logit p(share) = d + share * (w0 + w1 * d)

d is a prompt's unaided logit and w what all prompts have in common: a hint may help a hard prompt more. The
sum, y, has before a group a mean y0 and a variance S, of d and of w. A group of n completions with mean m,
with help or without, moves it to the y at which the likelihood of n m successes times that prior is greatest,

    n (m - p) = (y - y0) / S,   p = 1 / (1 + exp(-y))

(Laplace's approximation). d and w move by their parts of S; w only where some succeeded and some failed, as a
prompt beyond any help would else be held against hints. For d the group stays as evidence, of precision
V_d^-1 = 1 / (1 / (n p (1 - p)) + share^2 Var w); it fades by `MEMORY` a step, and is weighed beside the
estimator's unaided prediction of the day,

    d = (d0 / v0 + sum z_d / V_d) / (1 / v0 + sum 1 / V_d)

where d0 is that prediction's logit and v0 the logit's variance under a Beta distribution with its mean and
standard error, 1/a + 1/(2 a^2) + 1/b + 1/(2 b^2) approximately.
"""

from typing import Any

import numpy as np

from rlkit.curriculum.scale import Scale
from rlkit.prompts.pool import PromptPool
from rlkit.types import Groups, Prediction

SLOPE, SLOPE_SD = 6.0, 2.0
"""Logits that a whole solution adds at d = 0, before any is seen: from p = 0.05 to 0.95 (ours)."""
STEEPER, STEEPER_SD = -0.5, 0.25
"""w1: how much more it adds for each logit that d is lower (ours)."""
MEMORY = 0.98
"""Weight of what was seen of a prompt, a step after it was seen (ours)."""
EDGE = 1e-3
"""Least distance of a predicted success from 0 and 1."""
VARIANCE_BOUNDS = (0.05, 4.0)
"""Of d as the estimator predicts it."""

OF_PROMPTS = {"precision_N": 0.0, "evidence_N": 0.0, "step_N": -1, "expected_N": np.nan, "variance_N": 0.0}
"""The state's arrays, and what they hold of a prompt that was not there."""


class Effect:
    """d of each prompt, and w.

    Args:
        scale: the signal's range.
    """

    def __init__(self, scale: Scale):
        self.scale = scale
        self.weight = np.array([SLOPE, STEEPER])
        self._covariance = np.diag([SLOPE_SD**2, STEEPER_SD**2])

    def bind(self, pool: PromptPool) -> None:
        self.pool = pool
        self._precision_N = np.zeros(len(pool))
        self._evidence_N = np.zeros(len(pool))  # sum of z_d / V_d
        self._step_N = np.full(len(pool), -1, dtype=np.int32)
        self._expected_N = np.full(len(pool), np.nan)
        self._variance_N = np.zeros(len(pool))

    def unaided(self, index_N: np.ndarray, prediction: Prediction) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of each d, (N,) each; `prediction` is the estimator's, without help."""
        mean_N = np.clip(self.scale.share(prediction.mean_N), EDGE, 1 - EDGE)
        prior_N = np.log(mean_N / (1 - mean_N))
        variance_N = _logit_variance(mean_N, prediction.error_N / (self.scale.high - self.scale.low))
        kept_N = self._kept(index_N)
        precision_N = 1 / variance_N + kept_N * self._precision_N[index_N]
        logit_N = (prior_N / variance_N + kept_N * self._evidence_N[index_N]) / precision_N
        return logit_N, 1 / precision_N

    def _kept(self, index_N: np.ndarray) -> np.ndarray:
        """Weight of the evidence so far."""
        return MEMORY ** (self.pool.step - self._step_N[index_N]).astype(float)

    def success(self, logit_N: np.ndarray, share_N: np.ndarray) -> np.ndarray:
        """Success rates at these shares; the arrays are broadcast."""
        return 1 / (1 + np.exp(-(logit_N + share_N * self.slope(logit_N))))

    def slope(self, logit_N: np.ndarray) -> np.ndarray:
        """Logits that the whole solution would add; never less than none."""
        return np.maximum(self.weight[0] + self.weight[1] * logit_N, 0.0)

    def prediction(self, index_N: np.ndarray, share_N: np.ndarray, unaided: Prediction) -> Prediction:
        """Of these prompts with these shares revealed; the dispersion and the length are the unaided ones."""
        logit_N, variance_N = self.unaided(index_N, unaided)
        mean_N = self.success(logit_N, share_N)
        x_N2 = share_N[:, None] * np.stack([np.ones(len(share_N)), logit_N], axis=1)
        error_N = np.sqrt(variance_N + np.einsum("ni,ij,nj->n", x_N2, self._covariance, x_N2))
        before_N = np.clip(self.scale.share(unaided.mean_N), EDGE, 1 - EDGE)
        width = self.scale.high - self.scale.low
        dispersion_N = np.clip(unaided.variance_N / width**2 / (before_N * (1 - before_N)), 0.0, 1.0)
        spread_N = mean_N * (1 - mean_N)
        helped = self.scale.prediction(mean_N, spread_N * dispersion_N, spread_N * error_N)
        return Prediction(helped.mean_N, helped.variance_N, helped.error_N, unaided.length_N)

    def expect(self, index_P: np.ndarray, unaided: Prediction) -> None:
        """Prompts that are to be rolled out: their groups are held against what is known of them now."""
        self._expected_N[index_P], self._variance_N[index_P] = self.unaided(index_P, unaided)

    def observe(self, groups: Groups) -> None:
        """Learns from the groups of prompts that were expected, one after the other."""
        known = np.flatnonzero((groups.count_P > 0) & ~np.isnan(self._expected_N[groups.index_P]))
        right_P = groups.count_P * self.scale.share(groups.mean_P)
        for position in known.tolist():
            index, share = int(groups.index_P[position]), float(groups.share_P[position])
            self._observe(index, share, float(right_P[position]), float(groups.count_P[position]))

    def _observe(self, index: int, share: float, right: float, count: float) -> None:
        logit, x_2 = self._expected_N[index], share * np.array([1.0, self._expected_N[index]])
        shift, shared_2 = share * self.slope(logit), self._covariance @ x_2
        of_weight = float(x_2 @ shared_2)
        before, spread = logit + shift, self._variance_N[index] + of_weight
        after = _most_likely(before, spread, right, count)
        p = 1 / (1 + np.exp(-after))
        information = count * p * (1 - p)
        seen = after + (right - count * p) / information  # the observation that would have moved it so
        precision = 1 / (1 / information + of_weight)
        kept = self._kept(np.array([index]))[0]
        self._precision_N[index] = kept * self._precision_N[index] + precision
        self._evidence_N[index] = kept * self._evidence_N[index] + (seen - shift) * precision
        self._step_N[index] = self.pool.step
        if right in (0, count):
            return
        self.weight = self.weight + shared_2 / spread * (after - before)
        self._covariance = self._covariance - np.outer(shared_2, shared_2) / (spread + 1 / information)

    def metrics(self) -> dict[str, float]:
        return {"hints/slope": float(self.weight[0]), "hints/steeper": float(self.weight[1])}

    def state_dict(self) -> dict[str, Any]:
        of_prompts = {name: getattr(self, f"_{name}") for name in OF_PROMPTS}
        return {**of_prompts, "weight": self.weight, "covariance": self._covariance}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, fill in OF_PROMPTS.items():
            setattr(self, f"_{name}", self.pool.carried(state[name], fill))
        self.weight, self._covariance = np.array(state["weight"]), np.array(state["covariance"])


def _logit_variance(mean_N: np.ndarray, error_N: np.ndarray) -> np.ndarray:
    """Of a Beta distribution with this mean and standard deviation. Mean 1/2, error sqrt(1/12) -> 3.0"""
    strength_N = np.maximum(mean_N * (1 - mean_N) / np.maximum(error_N, EDGE) ** 2 - 1, EDGE)
    a_N, b_N = mean_N * strength_N, (1 - mean_N) * strength_N
    return np.clip(1 / a_N + 0.5 / a_N**2 + 1 / b_N + 0.5 / b_N**2, *VARIANCE_BOUNDS)


def _most_likely(before: float, spread: float, right: float, count: float) -> float:
    """The y of the formula above, by bisection between where the failures and the successes alone would lead.

    _most_likely(0, 1, 8, 8) -> 1.48, as 8 * (1 - 0.815) = 1.48
    """
    low, high = before - spread * (count - right), before + spread * right
    for _ in range(40):
        middle = (low + high) / 2
        if right - count / (1 + np.exp(-middle)) > (middle - before) / spread:
            low = middle
        else:
            high = middle
    return (low + high) / 2
