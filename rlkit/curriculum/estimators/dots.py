"""Predicts a prompt's mean from the outcomes of random reference prompts (DOTS, arXiv 2506.05316).

    base = sum over references r of softmax_r(q . k_r / sqrt(D)) * mean_r
    mean = sigmoid(logit(base) / temperature + bias),  (temperature, bias) = MLP(mean, sd of the references')

q and k are projections of the prompts' features (`attention_head.py`). The references are rolled out anew
every few steps (`probe.py`), so that their outcomes are nearly the present policy's.

Ours: features are the present policy's hidden states, of references and candidates alike, in place of a
frozen embedding model's; the head learns during the run, from the graded groups of the batch and from each
reference as told by the others, in place of beforehand from the rollouts of other policies. Left out: the
released code's line fitted to the references' own predictions.
"""

from typing import Any

import numpy as np

from rlkit.curriculum.estimators import Senses
from rlkit.curriculum.estimators.positions import positions_among
from rlkit.curriculum.scale import Scale
from rlkit.prompts.pool import PromptPool
from rlkit.types import Groups, Prediction


class Dots:
    """An estimator that asks the references.

    Args:
        hidden, learning_rate, steps, buffer, seed: of its `AttentionHead`.
        scale: the signal's range.
    """

    def __init__(
        self,
        *,
        hidden: int = 64,
        learning_rate: float = 1e-3,
        steps: int = 8,
        buffer: int = 4,
        scale: Scale | None = None,
        seed: int = 0,
    ):
        # torch loads here, and nowhere else in the estimator.
        from rlkit.curriculum.estimators.attention_head import AttentionHead

        self.hidden, self.scale = hidden, scale or Scale()
        self._head = AttentionHead(hidden, learning_rate, steps, buffer, seed)

    def bind(self, pool: PromptPool, senses: Senses) -> None:
        self.pool, self._senses = pool, senses
        self._share_N = np.full(len(pool), np.nan, dtype=np.float32)
        """The references' means as shares of the range; NaN for every other prompt."""

    @property
    def _reference_R(self) -> np.ndarray:
        return np.flatnonzero(~np.isnan(self._share_N))

    def learn_references(self, groups: Groups) -> None:
        """Takes these groups as the references, in place of the earlier ones."""
        scored = groups.count_P > 0
        self._share_N[:] = np.nan
        self._share_N[groups.index_P[scored]] = self.scale.share(groups.mean_P[scored])

    def predict(self, index_N: np.ndarray) -> Prediction:
        """The error is that of a mean of coin flips, weighted as the references are."""
        reference_R = self._reference_R
        if not len(reference_R):
            neutral = Prediction.neutral(len(index_N))
            return self.scale.prediction(neutral.mean_N, neutral.variance_N, neutral.error_N)
        # One call for both: the policy must be the same.
        features = self._senses.features(np.concatenate([reference_R, index_N]))
        self._index_N, self._features = index_N, features
        query, reference = features[len(reference_R) :], features[: len(reference_R)]
        mean_N, concentration_N = self._head.predict(query, reference, self._share_N[reference_R])
        variance_N = mean_N * (1 - mean_N)
        return self.scale.prediction(mean_N, variance_N, np.sqrt(variance_N * concentration_N))

    def observe(self, groups: Groups, prediction: Prediction) -> None:
        """The round's groups and the references are what the head learns to predict, none from itself."""
        reference_R = self._reference_R
        scored = groups.count_P > 0
        if not len(reference_R):
            return
        place_P = positions_among(self._index_N, groups.index_P[scored]) + len(reference_R)
        place_Q = np.concatenate([np.arange(len(reference_R)), place_P])
        index_Q = np.concatenate([reference_R, groups.index_P[scored]])
        share_R = self._share_N[reference_R]
        share_Q = np.concatenate([share_R, self.scale.share(groups.mean_P[scored])])
        self._head.learn(
            self._features[place_Q],
            share_Q,
            self._features[: len(reference_R)],
            share_R,
            index_Q[:, None] != reference_R,
        )

    def metrics(self) -> dict[str, float]:
        return {"dots/loss": self._head.loss, "dots/references": float(len(self._reference_R))}

    def state_dict(self) -> dict[str, Any]:
        return {"hidden": self.hidden, "share_N": self._share_N, **self._head.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Raises ValueError where the checkpoint's projections have another width."""
        if state["hidden"] != self.hidden:
            raise ValueError(
                f"the checkpoint has value_hidden={state['hidden']!r}, this run asks for {self.hidden!r}; "
                "resume with the checkpoint's"
            )
        self._share_N = self.pool.carried(state["share_N"], np.nan)
        self._head.load_state_dict(state)
