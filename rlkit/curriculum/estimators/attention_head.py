"""DOTS' attention from prompts to reference prompts, and its calibration, trained by AdamW during the run.

    q = z + f(z),  k = y + g(y),  z and y the features less the references' mean, each scaled to variance 1

f and g (one hidden layer each) start at zero, and the calibration at temperature 1 and bias 0: before
anything is learned, similar prompts weigh more. The released code projects by three layers of width 896,
trained beforehand; ours has less to learn from. Temperature is a softplus of at least 0.01 and at most 10,
the bias a tanh, and the hidden layer of the calibration has 10 units, as in the code.
"""

from collections import deque
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

Example = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]
"""Features (Q, D) and shares (Q,) of the prompts asked about, (R, D) and (R,) of the references, and which
references each may see, (Q, R)."""

MARGIN = 1e-4
"""A weighted mean is kept this far from 0 and 1 before its logit is taken (the released code's)."""


class AttentionHead:
    """Means of prompts from those of references.

    Args:
        hidden: units of the hidden layer of each projection.
        learning_rate: of its AdamW.
        steps: gradient steps after each round of rollouts.
        buffer: recent rounds that each gradient step learns from.
        seed: of the initial weights.
    """

    def __init__(self, hidden: int, learning_rate: float, steps: int, buffer: int, seed: int):
        self.hidden, self.learning_rate, self.steps, self.seed = hidden, learning_rate, steps, seed
        self.loss = float("nan")
        self._recent: deque[Example] = deque(maxlen=buffer)
        self._net: nn.ModuleDict | None = None

    def predict(
        self, query_ND: np.ndarray, reference_RD: np.ndarray, share_R: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The calibrated mean of each prompt, and the sum of its squared weights (1 / R if all are equal)."""
        seen_NR = torch.ones(len(query_ND), len(share_R), dtype=torch.bool)
        with torch.no_grad():
            logit_N, weight_NR = self._forward(
                torch.from_numpy(query_ND), torch.from_numpy(reference_RD), _tensor(share_R), seen_NR
            )
        weight_NR = weight_NR.numpy().astype(float)
        return torch.sigmoid(logit_N).numpy().astype(float), np.square(weight_NR).sum(axis=1)

    def learn(
        self,
        query_QD: np.ndarray,
        mean_Q: np.ndarray,
        reference_RD: np.ndarray,
        share_R: np.ndarray,
        seen_QR: np.ndarray,
    ) -> None:
        """Takes in a round: a prompt of known mean learns from the references that it may see."""
        asked = seen_QR.any(axis=1)
        if not asked.any():
            return
        self._recent.append(
            (  # A copy, since a view keeps, and saves, the features of all candidates.
                torch.from_numpy(query_QD[asked]),
                _tensor(mean_Q[asked]),
                torch.from_numpy(reference_RD.copy()),
                _tensor(share_R),
                torch.from_numpy(seen_QR[asked]),
            )
        )
        self._fit()

    def _forward(
        self, query_QD: torch.Tensor, reference_RD: torch.Tensor, share_R: torch.Tensor, seen_QR: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The logit of each prompt's mean, (Q,), and the references' weights in it, (Q, R)."""
        width = reference_RD.shape[1]
        if self._net is None:
            self._build(width)
        center_D = reference_RD.mean(dim=0)
        query_QD, reference_RD = (
            F.layer_norm(features - center_D, (width,)) for features in (query_QD, reference_RD)
        )
        query_QD = query_QD + self._net["query"](query_QD)  # type: ignore[index]
        reference_RD = reference_RD + self._net["reference"](reference_RD)  # type: ignore[index]
        score_QR = query_QD @ reference_RD.T / width**0.5
        weight_QR = torch.softmax(score_QR.masked_fill(~seen_QR, -torch.inf), dim=1)
        base_Q = (weight_QR @ share_R).clamp(MARGIN, 1 - MARGIN)
        temperature_Q, bias_Q = self._calibration(share_R, seen_QR)
        return torch.logit(base_Q) / temperature_Q + bias_Q, weight_QR

    def _calibration(self, share_R: torch.Tensor, seen_QR: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Temperature and bias, (Q,) each, from mean and standard deviation of the references seen."""
        count_Q = seen_QR.sum(dim=1)
        mean_Q = (seen_QR * share_R).sum(dim=1) / count_Q
        deviation_QR = seen_QR * (share_R - mean_Q[:, None])
        sd_Q = (deviation_QR.square().sum(dim=1) / count_Q).sqrt()
        raw_Q2 = self._net["calibration"](torch.stack([mean_Q, sd_Q], dim=1))  # type: ignore[index]
        return F.softplus(raw_Q2[:, 0]).clamp(1e-2, 10), torch.tanh(raw_Q2[:, 1])

    def _build(self, width: int) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            self._net = nn.ModuleDict(
                {
                    "query": _two_layers(width, self.hidden, nn.GELU()),
                    "reference": _two_layers(width, self.hidden, nn.GELU()),
                    "calibration": nn.Sequential(nn.Linear(2, 10), nn.ReLU(), nn.Linear(10, 2)),
                }
            )
        for part in self._net.children():
            last: nn.Linear = part[-1]  # type: ignore[index,assignment]
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
        last.bias.data[0] = np.log(np.e - 1)  # of the calibration: the softplus of it is 1
        self._optimizer = torch.optim.AdamW(self._net.parameters(), lr=self.learning_rate)

    def _fit(self) -> None:
        for _ in range(self.steps):
            losses = [
                F.binary_cross_entropy_with_logits(self._forward(query, reference, share, seen)[0], mean)
                for query, mean, reference, share, seen in self._recent
            ]
            loss = torch.stack(losses).mean()
            self._optimizer.zero_grad()
            loss.backward()
            self._optimizer.step()
        self.loss = float(losses[-1].detach())

    def state_dict(self) -> dict[str, Any]:
        return {
            "loss": self.loss,
            "recent": [list(example) for example in self._recent],
            "net": None if self._net is None else self._net.state_dict(),
            "optimizer": None if self._net is None else self._optimizer.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.loss = state["loss"]
        self._recent.clear()
        self._recent.extend(tuple(example) for example in state["recent"])  # type: ignore[misc]
        if state["net"] is not None:
            self._build(state["net"]["query.0.weight"].shape[1])
            self._net.load_state_dict(state["net"])  # type: ignore[union-attr]
            self._optimizer.load_state_dict(state["optimizer"])


def _two_layers(width: int, hidden: int, between: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, hidden), between, nn.Linear(hidden, width))


def _tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.asarray(array, dtype=np.float32))
