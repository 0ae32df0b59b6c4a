"""A value model of prompts: predicts the mean and the variance of a group's signal, learned online.

    mean = sigmoid(a),  dispersion = sigmoid(b),  variance = mean * (1 - mean) * dispersion

(a, b) comes from a head over what is seen of the prompt: Bayesian linear regression on features
(`bayes_head.py`), or PCL's, an MLP on the policy's hidden state (`mlp_head.py`). The former fits mean and
dispersion directly, kept inside what some (a, b) could give. Binary rewards have dispersion 1; graded rewards
have less, and there aiming at the most variance differs from aiming at a mean of one half. It trains only on
groups that were graded anyway.
"""

from typing import Any, Protocol

import numpy as np

from rlkit.curriculum.estimators import Senses
from rlkit.curriculum.estimators.bayes_head import BayesHead
from rlkit.curriculum.estimators.features import make_features
from rlkit.curriculum.estimators.positions import positions_among
from rlkit.curriculum.scale import Scale
from rlkit.prompts.pool import PromptPool
from rlkit.settings.limits import POLICY
from rlkit.types import Groups, Prediction

ERROR_MEMORY = 0.9
"""Weight of the past in the running squared error of the predictions."""


class Head(Protocol):
    """Features of prompts, and from them mean and variance on a scale of 0 to 1."""

    loss: float

    def bind(self, pool: PromptPool, senses: Senses) -> None: ...
    def look(self, index_N: np.ndarray) -> Any: ...
    def take(self, features: Any, positions: np.ndarray) -> Any: ...
    def predict(self, features: Any) -> tuple[np.ndarray, np.ndarray]: ...
    def learn(self, features: Any, mean: np.ndarray, variance: np.ndarray, count: np.ndarray) -> None:
        """Takes in a round's groups: mean, unbiased variance and scored completions, (P,) each."""

    def observe(self, groups: Groups) -> None:
        """What the features learn of all groups, after `learn`."""

    def metrics(self) -> dict[str, float]: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class ValueModel:
    """An estimator with a learned head.

    Args:
        features: what the head sees of a prompt (`features/`), joined by commas; or `policy`, the policy's
            last hidden state under PCL's own head.
        gold_column: of the features `answer` and `likelihood`.
        layer: of the policy, that the feature `states` looks at, as a share of its depth.
        age: steps that what the policy shows of a prompt serves.
        hidden, learning_rate, steps, buffer: of PCL's head (`MlpHead`); the other has none.
        signal_min, signal_max: the signal's range, mapped to 0..1 inside.
        seed: of the head's initial weights, or of which groups it learns from again.
    """

    def __init__(
        self,
        *,
        hidden: int = 64,
        learning_rate: float = 3e-3,
        steps: int = 8,
        buffer: int = 16,
        features: str = "policy",
        gold_column: str | None = None,
        layer: float = 0.5,
        age: int = 1,
        signal_min: float = 0.0,
        signal_max: float = 1.0,
        seed: int = 0,
    ):
        self.features, self.hidden, self.layer = features, hidden, layer
        self.signal_min, self.signal_range = signal_min, signal_max - signal_min
        if features == POLICY:
            # torch loads here: the other head runs on NumPy alone.
            from rlkit.curriculum.estimators.mlp_head import MlpHead

            self._head: Head = MlpHead(hidden, learning_rate, steps, buffer, seed)
        else:
            names, scale = tuple(features.split(",")), Scale(signal_min, signal_max)
            self._head = BayesHead(seed, make_features(names, gold_column, layer, age, scale))
        self._index_N = np.empty(0, dtype=np.int64)
        self._seen: Any = None
        self._squared_error = 1 / 12

    def bind(self, pool: PromptPool, senses: Senses) -> None:
        self._head.bind(pool, senses)

    def predict(self, index_N: np.ndarray) -> Prediction:
        self._index_N, self._seen = index_N, self._head.look(index_N)
        mean_N, variance_N = self._head.predict(self._seen)
        return Prediction(
            mean_N * self.signal_range + self.signal_min,
            variance_N * self.signal_range**2,
            np.full(len(index_N), self.error),
        )

    def observe(self, groups: Groups, prediction: Prediction) -> None:
        scored = groups.count_P > 0
        if scored.any():
            self._learn(groups, prediction, scored)
        self._head.observe(groups)

    def _learn(self, groups: Groups, prediction: Prediction, scored: np.ndarray) -> None:
        count = groups.count_P[scored]
        mean = np.clip((groups.mean_P[scored] - self.signal_min) / self.signal_range, 0, 1)
        variance = groups.variance_P[scored] / self.signal_range**2
        self._track_error(prediction, mean, variance, count, scored)
        if not self.knows(groups.index_P):
            self._index_N, self._seen = groups.index_P, self._head.look(groups.index_P)
        features = self._head.take(self._seen, self.positions(groups.index_P[scored]))
        # One completion has no variance of its own; weight count - 1 leaves it out of the dispersion's loss.
        unbiased = variance * count / np.maximum(count - 1, 1)
        self._head.learn(features, mean, unbiased, count)

    def knows(self, index_P: np.ndarray) -> bool:
        """Whether these are among the prompts last predicted; in an asynchronous run others were since."""
        return bool(np.isin(index_P, self._index_N).all())

    def positions(self, index_P: np.ndarray) -> np.ndarray:
        """Where these prompts stand among those last predicted."""
        return positions_among(self._index_N, index_P)

    def _track_error(self, prediction, mean, variance, count, scored) -> None:
        """Running mean squared error of the mean, less what the group's own sampling noise explains."""
        mean_hat = (prediction.mean_N[scored] - self.signal_min) / self.signal_range
        excess = np.mean((mean - mean_hat) ** 2 - variance / np.maximum(count - 1, 1))
        latest = max(float(excess), 1e-4)
        self._squared_error = ERROR_MEMORY * self._squared_error + (1 - ERROR_MEMORY) * latest

    @property
    def error(self) -> float:
        """Running error of the predicted mean, on the signal's scale."""
        return float(np.sqrt(self._squared_error)) * self.signal_range

    def metrics(self) -> dict[str, float]:
        return {
            "value_model/loss": self._head.loss,
            "value_model/error": float(np.sqrt(self._squared_error)),
            **self._head.metrics(),
        }

    def state_dict(self) -> dict[str, Any]:
        return {
            "hidden": self.hidden,
            "features": self.features,
            "layer": self.layer,
            "squared_error": self._squared_error,
            "loss": self._head.loss,
            "head": self._head.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Raises ValueError where the checkpoint's head is of another make."""
        for name in ("features", "hidden", "layer"):
            if state[name] != getattr(self, name):
                raise ValueError(
                    f"the checkpoint has value_{name}={state[name]!r}, this run asks for "
                    f"{getattr(self, name)!r}; resume with the checkpoint's"
                )
        self._squared_error, self._head.loss = state["squared_error"], state["loss"]
        self._head.load_state_dict(state["head"])
