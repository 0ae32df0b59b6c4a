"""The value model's prediction as the prior of each prompt's own discounted Beta posterior (ours).

    a = strength * v + S,   b = strength * (1 - v) + F,   strength = E[v (1 - v)] / E[(p - v)^2] - 1

v is the value model's mean as a share, S and F the prompt's successes and failures, which lose a factor
`decay` each step since they were counted, visited or not: the policy moves on. The strength is the number
of rollouts that the value model is worth, matched to its running squared error by moments: a Beta(a, b) of
mean v and strength s has variance v (1 - v) / (s + 1).
"""

from typing import Any

import numpy as np

from rlkit.curriculum.estimators import Senses
from rlkit.curriculum.estimators.lengths import Lengths
from rlkit.curriculum.estimators.value_model import ERROR_MEMORY, ValueModel
from rlkit.curriculum.scale import Scale
from rlkit.prompts.pool import PromptPool
from rlkit.types import Groups, Prediction

STRENGTH_BOUNDS = (1.0, 1000.0)


class Fused:
    """Beta(a, b) a prompt, its prior from a value model; predicts completion lengths too.

    Args:
        value_model: any; its signal range must be `scale`.
        decay: weight of a prompt's counts a step after they were made, 0 to 1.
        repeat_gap: steps that a prompt waits before it may be a candidate again.
        scale: the signal's range.
    """

    def __init__(self, value_model: ValueModel, *, decay: float, repeat_gap: int, scale: Scale | None = None):
        self.value_model, self.decay, self.repeat_gap = value_model, decay, repeat_gap
        self.scale = scale or Scale()
        self._lengths = Lengths()
        self._step = -1
        # E[v (1 - v)] beside the value model's first error, 1/12: strength 2, as of a uniform distribution.
        self._spread = 0.25

    def bind(self, pool: PromptPool, senses: Senses) -> None:
        self.pool = pool
        self.value_model.bind(pool, senses)
        self._lengths.bind(pool)
        self._success_N = np.zeros(len(pool), dtype=np.float32)
        self._failure_N = np.zeros(len(pool), dtype=np.float32)
        self._step_N = np.zeros(len(pool), dtype=np.int32)

    def admission(self, index_N: np.ndarray) -> np.ndarray:
        """1, or 0 where the prompt was rolled out in the last `repeat_gap` steps."""
        last_N = self.pool.last_step_N[index_N]
        return ((last_N < 0) | (self._step - last_N >= self.repeat_gap)).astype(float)

    def predict(self, index_N: np.ndarray) -> Prediction:
        """Mean and standard deviation of Beta(a, b), and the variance E[p(1 - p)] times the value model's
        dispersion, which is 1 for binary signals."""
        prior = self._prior = self.value_model.predict(index_N)
        mean_N, binary_N = self._moments(prior)
        strength = self.strength
        success_N, failure_N = self._counts(index_N, self._step + 1)
        a_N, b_N = strength * mean_N + success_N, strength * (1 - mean_N) + failure_N
        total_N = a_N + b_N
        expected_N = a_N * b_N / (total_N * (total_N + 1))
        dispersion_N = prior.variance_N / (self.scale.high - self.scale.low) ** 2 / binary_N
        posterior = self.scale.prediction(
            a_N / total_N, expected_N * dispersion_N, np.sqrt(expected_N / total_N)
        )
        tokens_N = self._lengths.predict(index_N)
        length_N = tokens_N / tokens_N.mean()
        return Prediction(posterior.mean_N, posterior.variance_N, posterior.error_N, length_N)

    def observe(self, groups: Groups, prediction: Prediction) -> None:
        self._step = self.pool.step
        if not self.value_model.knows(groups.index_P):
            self._prior = self.value_model.predict(groups.index_P)
        prior = self._prior.take(self.value_model.positions(groups.index_P))
        self.value_model.observe(groups, prior)
        self._lengths.observe(groups)
        scored = groups.count_P > 0
        if not scored.any():
            return
        spread = float(self._moments(prior)[1][scored].mean())
        self._spread = ERROR_MEMORY * self._spread + (1 - ERROR_MEMORY) * spread
        index, count = groups.index_P[scored], groups.count_P[scored]
        success = self.scale.share(groups.mean_P[scored]) * count
        old_success, old_failure = self._counts(index, self._step)
        self._success_N[index], self._failure_N[index] = old_success + success, old_failure + count - success
        self._step_N[index] = self._step

    def _counts(self, index_N: np.ndarray, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Successes and failures of each prompt, (N,) each, as they count in that step."""
        weight_N = self.decay ** (step - self._step_N[index_N]).astype(float)
        return weight_N * self._success_N[index_N], weight_N * self._failure_N[index_N]

    def _moments(self, prior: Prediction) -> tuple[np.ndarray, np.ndarray]:
        """The value model's mean v as a share, off 0 and 1, and v (1 - v)."""
        mean_N = np.clip(self.scale.share(prior.mean_N), 1e-3, 1 - 1e-3)
        return mean_N, mean_N * (1 - mean_N)

    @property
    def strength(self) -> float:
        """Rollouts that the value model is worth: a + b of the prior."""
        squared_error = (self.value_model.error / (self.scale.high - self.scale.low)) ** 2
        return float(np.clip(self._spread / squared_error - 1, *STRENGTH_BOUNDS))

    def metrics(self) -> dict[str, float]:
        """The value model's, and how many rollouts it is worth."""
        return {**self.value_model.metrics(), "fused/strength": self.strength}

    def state_dict(self) -> dict[str, Any]:
        return {
            "success_N": self._success_N,
            "failure_N": self._failure_N,
            "step_N": self._step_N,
            "step": self._step,
            "spread": self._spread,
            "lengths": self._lengths.state_dict(),
            "value_model": self.value_model.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name in ("success_N", "failure_N", "step_N"):
            setattr(self, f"_{name}", self.pool.carried(state[name], 0))
        self._step, self._spread = state["step"], state["spread"]
        self._lengths.load_state_dict(state["lengths"])
        self.value_model.load_state_dict(state["value_model"])
