"""The head of PCL: a small MLP on the policy's own hidden state, trained by AdamW.

The mean learns by binomial cross-entropy with the group's mean as its target (PCL, arXiv 2510.01135, takes
the squared error: same minimum, but its gradient dies where a confident prediction is wrong), the
dispersion by the squared error of the variance. Each gradient step learns from the features of recent rounds.
"""

from collections import deque
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from rlkit.curriculum.estimators import Senses
from rlkit.prompts.pool import PromptPool
from rlkit.types import Groups

Example = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]
"""Features (P, D), mean (P,), unbiased variance (P,) and scored completions (P,) of a round's groups."""


class MlpHead:
    """(a, b) of each prompt by one hidden layer.

    Args:
        hidden: units of the hidden layer.
        learning_rate: of its AdamW.
        steps: gradient steps after each round of rollouts.
        buffer: recent rounds that each gradient step learns from.
        seed: of the initial weights.
    """

    def __init__(self, hidden: int, learning_rate: float, steps: int, buffer: int, seed: int):
        self.hidden, self.learning_rate, self.steps, self.seed = hidden, learning_rate, steps, seed
        self.loss = float("nan")
        self._recent: deque[Example] = deque(maxlen=buffer)
        self._head: nn.Module | None = None

    def bind(self, pool: PromptPool, senses: Senses) -> None:
        self._senses = senses

    def look(self, index_N: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(self._senses.features(index_N))

    def take(self, features: torch.Tensor, positions: np.ndarray) -> torch.Tensor:
        return features[torch.from_numpy(positions)]

    def predict(self, features: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        with torch.no_grad():
            a_N, b_N = self._forward(features)
        mean_N = torch.sigmoid(a_N)
        variance_N = mean_N * (1 - mean_N) * torch.sigmoid(b_N)
        return mean_N.numpy().astype(float), variance_N.numpy().astype(float)

    def learn(
        self, features: torch.Tensor, mean: np.ndarray, variance: np.ndarray, count: np.ndarray
    ) -> None:
        self._recent.append((features, _tensor(mean), _tensor(variance), _tensor(count)))
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
        self.loss = float(mean_loss.detach())

    def observe(self, groups: Groups) -> None:
        """It sees nothing that learns."""

    def metrics(self) -> dict[str, float]:
        return {}

    def state_dict(self) -> dict[str, Any]:
        return {
            "recent": [list(example) for example in self._recent],
            "head": None if self._head is None else self._head.state_dict(),
            "optimizer": None if self._head is None else self._optimizer.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._recent.clear()
        self._recent.extend(tuple(example) for example in state["recent"])  # type: ignore[misc]
        if state["head"] is not None:
            self._build(state["head"]["0.weight"].shape[0])
            self._head.load_state_dict(state["head"])  # type: ignore[union-attr]
            self._optimizer.load_state_dict(state["optimizer"])


def _tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.asarray(array, dtype=np.float32))
