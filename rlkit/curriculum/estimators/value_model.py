"""A value model of prompts: predicts the mean and the variance of a group's signal, learned online.

    mean = sigmoid(a),  dispersion = sigmoid(b),  variance = mean * (1 - mean) * dispersion

(a, b) is a small head over a backbone's features of the prompt. Binary rewards have dispersion 1; graded
rewards have less, and there aiming at the most variance differs from aiming at a mean of one half. The mean
learns by binomial cross-entropy with the group's mean as its target (PCL, arXiv 2510.01135, takes the
squared error: same minimum, but its gradient dies where a confident prediction is wrong), the dispersion by
the squared error of the variance. It trains only on groups that were graded anyway, and keeps the features
of recent ones to learn from them again.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from rlkit.curriculum.estimators import Senses
from rlkit.curriculum.estimators.text_features import text_features
from rlkit.pool import PromptPool
from rlkit.types import Groups, Prediction

ERROR_MEMORY = 0.9
"""Weight of the past in the running squared error of the predictions."""

Example = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]
"""Features (P, D), mean (P,), unbiased variance (P,) and scored completions (P,) of a round's groups."""


class ValueModel:
    """An estimator with a learned head.

    Args:
        backbone: "policy", the policy's last hidden state at the end of the prompt (one prefill a candidate),
            or "text", hashed words (no model).
        hidden: units of the head's hidden layer.
        learning_rate: of its AdamW.
        steps: gradient steps after each round of rollouts.
        buffer: recent rounds that each gradient step learns from.
        signal_min, signal_max: the signal's range, mapped to 0..1 inside.
        seed: of the head's initial weights.
    """

    def __init__(
        self,
        *,
        backbone: str = "policy",
        hidden: int = 64,
        learning_rate: float = 3e-3,
        steps: int = 8,
        buffer: int = 8,
        signal_min: float = 0.0,
        signal_max: float = 1.0,
        seed: int = 0,
    ):
        self.backbone, self.hidden, self.learning_rate = backbone, hidden, learning_rate
        self.steps, self.seed = steps, seed
        self.signal_min, self.signal_range = signal_min, signal_max - signal_min
        self._recent: deque[Example] = deque(maxlen=buffer)
        self._features: dict[int, torch.Tensor] = {}
        self._head: nn.Module | None = None
        self._squared_error = 1 / 12
        self._loss = float("nan")

    def bind(self, pool: PromptPool, senses: Senses) -> None:
        self._look: Callable[[np.ndarray], np.ndarray] = (
            senses.features if self.backbone == "policy" else lambda index_N: text_features(pool, index_N)
        )

    def predict(self, index_N: np.ndarray) -> Prediction:
        features_ND = torch.from_numpy(self._look(index_N))
        self._features = dict(zip(index_N.tolist(), features_ND, strict=True))
        with torch.no_grad():
            a_N, b_N = self._forward(features_ND)
        mean_N = torch.sigmoid(a_N)
        variance_N = mean_N * (1 - mean_N) * torch.sigmoid(b_N)
        return Prediction(
            mean_N.double().numpy() * self.signal_range + self.signal_min,
            variance_N.double().numpy() * self.signal_range**2,
            np.full(len(index_N), np.sqrt(self._squared_error) * self.signal_range),
        )

    def observe(self, groups: Groups, prediction: Prediction) -> None:
        scored = groups.count_P > 0
        if not scored.any():
            return
        count = groups.count_P[scored]
        mean = np.clip((groups.mean_P[scored] - self.signal_min) / self.signal_range, 0, 1)
        variance = groups.variance_P[scored] / self.signal_range**2
        self._track_error(prediction, mean, variance, count, scored)
        features = torch.stack([self._features[index] for index in groups.index_P[scored].tolist()])
        # One completion has no variance of its own; weight count - 1 leaves it out of the dispersion's loss.
        unbiased = variance * count / np.maximum(count - 1, 1)
        self._recent.append((features, _tensor(mean), _tensor(unbiased), _tensor(count)))
        self._fit()

    def _forward(self, features_ND: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The head's (a, b), each (N,)."""
        if self._head is None:
            self._build(features_ND.shape[1])
        return self._head(features_ND).unbind(dim=1)  # type: ignore[misc]

    def _build(self, width: int) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            self._head = nn.Sequential(
                nn.LayerNorm(width), nn.Linear(width, self.hidden), nn.GELU(), nn.Linear(self.hidden, 2)
            )
        last: nn.Linear = self._head[-1]  # type: ignore[assignment]
        nn.init.zeros_(last.weight)
        # The neutral start: mean 1/2, and a dispersion of 0.95, near that of binary rewards.
        last.bias.data = torch.tensor([0.0, 3.0])
        self._optimizer = torch.optim.AdamW(self._head.parameters(), lr=self.learning_rate)

    def _fit(self) -> None:
        features, mean, variance, count = (torch.cat(column) for column in zip(*self._recent, strict=True))
        for _ in range(self.steps):
            a, b = self._forward(features)
            mean_loss = F.binary_cross_entropy_with_logits(a, mean, weight=count / count.mean())
            # Detached: through the mean the variance's loss would pull predictions toward the edges.
            mean_hat = torch.sigmoid(a).detach()
            variance_hat = mean_hat * (1 - mean_hat) * torch.sigmoid(b)
            variance_error = (variance_hat - variance) ** 2 * (count - 1)
            variance_loss = variance_error.sum() / (count - 1).sum().clamp(min=1)
            loss = mean_loss + variance_loss
            self._optimizer.zero_grad()
            loss.backward()
            self._optimizer.step()
        self._loss = float(mean_loss.detach())

    def _track_error(self, prediction, mean, variance, count, scored) -> None:
        """Running mean squared error of the mean, less what the group's own sampling noise explains."""
        mean_hat = (prediction.mean_N[scored] - self.signal_min) / self.signal_range
        excess = np.mean((mean - mean_hat) ** 2 - variance / np.maximum(count - 1, 1))
        latest = max(float(excess), 1e-4)
        self._squared_error = ERROR_MEMORY * self._squared_error + (1 - ERROR_MEMORY) * latest

    def metrics(self) -> dict[str, float]:
        return {"value_model/loss": self._loss, "value_model/error": float(np.sqrt(self._squared_error))}

    def state_dict(self) -> dict[str, Any]:
        return {
            "backbone": self.backbone,
            "hidden": self.hidden,
            "squared_error": self._squared_error,
            "loss": self._loss,
            "recent": [list(example) for example in self._recent],
            "head": None if self._head is None else self._head.state_dict(),
            "optimizer": None if self._head is None else self._optimizer.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Raises ValueError where the checkpoint's head is of another make."""
        for name in ("backbone", "hidden"):
            if state[name] != getattr(self, name):
                raise ValueError(
                    f"the checkpoint has value_{name}={state[name]!r}, this run asks for "
                    f"{getattr(self, name)!r}; resume with the checkpoint's"
                )
        self._squared_error, self._loss = state["squared_error"], state["loss"]
        self._recent.clear()
        self._recent.extend(tuple(example) for example in state["recent"])  # type: ignore[misc]
        if state["head"] is not None:
            self._build(state["head"]["0.weight"].shape[0])
            self._head.load_state_dict(state["head"])  # type: ignore[union-attr]
            self._optimizer.load_state_dict(state["optimizer"])


def _tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.asarray(array, dtype=np.float32))
