"""A difficulty to aim at that follows the measured success (AdaRFT, arXiv 2504.05520).

    T <- clip(T + eta * tanh(alpha * (mean signal - beta)), 0, 100)

Difficulties are given beforehand, 0 to 100: the `difficulty` column, or 100 * (1 - pass_rate). The predicted
mean is beta + (T - difficulty) / 100 * min(beta, 1 - beta): a stand-in that is beta at the target and falls
with difficulty, so that the selector `nearest` to beta takes the prompts nearest to T. The released code
takes the nearest of the whole pool, the same ones again where T stands still; ours come from the stream, so
that a prompt comes at most once a pass.
"""

from typing import Any

import numpy as np

from rlkit.curriculum.estimators import Senses
from rlkit.curriculum.estimators.columns import difficulties
from rlkit.curriculum.estimators.neutral import Neutral
from rlkit.curriculum.scale import Scale
from rlkit.prompts.pool import PromptPool
from rlkit.types import Groups, Prediction

HARDEST = 100.0


class MovingTarget(Neutral):
    """T, and each prompt's difficulty.

    Args:
        beta: mean signal to aim at, as a share of the range; above 0 and under 1.
        eta: greatest change of T after a round, on the scale of 0 to 100.
        alpha: how steeply T answers to a mean signal off beta.
        start: T before the first step.
        scale: the signal's range.
    """

    def __init__(
        self,
        *,
        beta: float = 0.5,
        eta: float = 50.0,
        alpha: float = 2.0,
        start: float = 0.0,
        scale: Scale | None = None,
    ):
        self.beta, self.eta, self.alpha, self.target = beta, eta, alpha, start
        self.scale = scale or Scale()

    def bind(self, pool: PromptPool, senses: Senses) -> None:
        self._difficulty_N = difficulties(pool, "adarft", HARDEST).astype(np.float32)

    def predict(self, index_N: np.ndarray) -> Prediction:
        distance_N = (self.target - self._difficulty_N[index_N].astype(float)) / HARDEST
        mean_N = self.beta + distance_N * min(self.beta, 1 - self.beta)
        neutral = Prediction.neutral(len(index_N))
        return self.scale.prediction(mean_N, mean_N * (1 - mean_N), neutral.error_N)

    def observe(self, groups: Groups, prediction: Prediction) -> None:
        scored = groups.signal_PG[~np.isnan(groups.signal_PG)]
        if len(scored):
            excess = float(self.scale.share(scored).mean()) - self.beta
            self.target = float(np.clip(self.target + self.eta * np.tanh(self.alpha * excess), 0, HARDEST))

    def state_dict(self) -> dict[str, Any]:
        return {"target": self.target}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.target = state["target"]

    def metrics(self) -> dict[str, float]:
        return {"moving_target/difficulty": self.target}
