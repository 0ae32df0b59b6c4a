"""No opinion: every prompt is as good as the next. Uniform sampling, and the filters that do not predict."""

from typing import Any

import numpy as np

from rlkit.curriculum.estimators import Senses
from rlkit.prompts.pool import PromptPool
from rlkit.types import Groups, Prediction


class Neutral:
    """Predicts one half for every prompt and learns nothing."""

    def bind(self, pool: PromptPool, senses: Senses) -> None:
        pass

    def predict(self, index_N: np.ndarray) -> Prediction:
        return Prediction.neutral(len(index_N))

    def observe(self, groups: Groups, prediction: Prediction) -> None:
        pass

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass

    def metrics(self) -> dict[str, float]:
        return {}
