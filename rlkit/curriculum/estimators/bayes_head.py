"""The one head of value models: Bayesian linear regression on all that is seen of a prompt.

    mean = 1/2 + terms(prompt) + numbers(prompt),   variance = mean * (1 - mean) * (1 + dispersion(prompt))

`terms` is ridge regression on hashed terms (`terms_ridge.py`), which remembers; `numbers` regression on plain
numbers (`numbers_ridge.py`), those of the policy's states too, which forgets as fast as the evidence says.
Each learns what the other's prediction leaves of a group in its time: old groups stay true while the policy
moves. `dispersion` is 0, the prior, for binary rewards: there a group's variance follows from its mean.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from rlkit.curriculum.estimators import Senses
from rlkit.curriculum.estimators.channel import Channel
from rlkit.curriculum.estimators.features import Feature
from rlkit.curriculum.estimators.features.hashed import Hashed
from rlkit.curriculum.estimators.numbers_ridge import NumbersRidge
from rlkit.curriculum.estimators.terms_ridge import TermsRidge
from rlkit.prompts.pool import PromptPool
from rlkit.types import Groups

SAMPLE = 8192
"""Prompts of the pool that tell which terms are rare, and how the numbers of rows vary."""
KEPT = 1 << 16
"""Prompts of a pool whose rows are read once and kept, some 100 MB at most. Of a larger pool they are read
each time: there the stream comes back to a prompt after hundreds of steps."""
DISPERSION_HALF_LIFE = 1000.0
EDGE = 0.005
"""The predicted mean stays so far from 0 and 1."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What is seen of N prompts: terms of some features each, in buckets of their own, and D numbers."""

    parts: list[Hashed]
    number_ND: np.ndarray

    def __len__(self) -> int:
        return len(self.number_ND)

    def take(self, positions: np.ndarray) -> "Seen":
        return Seen([part.take(positions) for part in self.parts], self.number_ND[positions])


class BayesHead:
    """Predicts mean and variance.

    Args:
        seed: of which groups it learns from again, and of random directions.
        features: what it sees of a prompt; optional ones where the data has them.
    """

    def __init__(self, seed: int, features: list[Feature]) -> None:
        self.seed, self._wanted = seed, features
        self.loss = float("nan")
        self._numbers: NumbersRidge | None = None
        self._kept: Hashed | None = None

    def bind(self, pool: PromptPool, senses: Senses) -> None:
        """Reads a sample of the pool's rows for the features that are of rows alone.

        Raises:
            ValueError: the pool or the host lacks what a feature looks at that is not optional.
        """
        self._pool, self._kept = pool, None
        found = [feature for feature in self._wanted if _finds(feature, pool, senses)]
        self._channels = [Channel(feature, place, self.seed) for place, feature in enumerate(found)]
        self._static = [channel for channel in self._channels if channel.feature.static]
        self._others = [channel for channel in self._channels if not channel.feature.static]
        self._terms = TermsRidge(len(found), self.seed)
        num = min(SAMPLE, len(pool))
        index_N = np.sort(np.random.default_rng(0).choice(len(pool), num, replace=False))
        rows = pool.take(index_N)
        parts = [channel.fit(index_N, rows) for channel in self._static]
        if parts and num == len(pool):
            self._kept = Hashed.joined(parts)

    @property
    def features(self) -> list[Feature]:
        """Those of `bind` that the data has."""
        return [channel.feature for channel in self._channels]

    def look(self, index_N: np.ndarray) -> Seen:
        """Terms, each feature's in buckets of its own, and a constant with the standardized numbers."""
        if len(self._pool) > KEPT:
            parts = self._read(index_N, self._channels)
        else:
            if self._kept is None and self._static:
                self._kept = Hashed.joined(self._read(np.arange(len(self._pool)), self._static))
            kept = [] if self._kept is None else [self._kept.take(index_N)]
            parts = kept + self._read(index_N, self._others)
        if self._numbers is None:
            self._make_numbers(self._widths())
        numbers = [np.ones((len(index_N), 1)), *(part.number_NK for part in parts)]
        with_terms = [part.without_numbers() for part in parts if len(part.bucket_E)]
        return Seen(with_terms, np.concatenate(numbers, axis=1))

    def _read(self, index_N: np.ndarray, channels: list[Channel]) -> list[Hashed]:
        rows = self._pool.take(index_N) if channels else []
        return [channel.look(index_N, rows) for channel in channels]

    def _widths(self) -> list[int]:
        return [channel.scaler.width for channel in self._channels]

    def _make_numbers(self, widths: list[int]) -> None:
        block_K = np.repeat(np.arange(len(widths)), widths)
        self._numbers = NumbersRidge(block_K)
        self._dispersion = NumbersRidge(block_K, half_lives=(DISPERSION_HALF_LIFE,))

    def take(self, features: Seen, positions: np.ndarray) -> Seen:
        return features.take(positions)

    def predict(self, features: Seen) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance, (N,) each, the mean inside (0, 1) and the variance possible for it."""
        assert self._numbers is not None, "look comes first"
        value_N = self._of_terms(features) + self._numbers.predict(features.number_ND)
        mean_N = np.clip(0.5 + value_N, EDGE, 1 - EDGE)
        dispersion_N = np.clip(1 + self._dispersion.predict(features.number_ND), 0.02, 1)
        return mean_N, mean_N * (1 - mean_N) * dispersion_N

    def _of_terms(self, features: Seen) -> np.ndarray:
        return sum((self._terms.predict(part) for part in features.parts), np.zeros(len(features)))

    def learn(self, features: Seen, mean: np.ndarray, variance: np.ndarray, count: np.ndarray) -> None:
        """Takes in a round's groups: features, mean, unbiased variance and scored completions."""
        assert self._numbers is not None, "look comes first"
        number_PK, value_P = features.number_ND, mean - 0.5
        self.loss = float(np.mean((self.predict(features)[0] - mean) ** 2))
        # A prompt's own difficulty varies more than the flips of a group: more of them say little more.
        weight_P = count / (count + 1)
        self._numbers.learn(number_PK, value_P - self._of_terms(features), weight_P)
        if features.parts:
            terms = Hashed.joined(features.parts)
            self._terms.learn(terms, value_P - self._numbers.predict(number_PK), 1 / weight_P)
        # What the variance would be if the rewards were binary, without bias; one completion says nothing.
        binary_P = np.where(count > 1, mean * (1 - mean) + variance / count, 0.0)
        # In quarters, the greatest variance, so that the noise weighs as much.
        self._dispersion.learn(4 * binary_P[:, None] * number_PK, 4 * (variance - binary_P), weight_P)

    def observe(self, groups: Groups) -> None:
        """What the features themselves learn of groups."""
        for feature in self.features:
            feature.observe(groups)

    def metrics(self) -> dict[str, float]:
        num = sum(channel.scaler.num_replaced for channel in self._channels)
        found = {"value_model/not_finite": float(num)}
        for feature in self.features:
            found |= feature.metrics()
        return found

    def state_dict(self) -> dict[str, Any]:
        state: dict[str, Any] = {
            "terms": self._terms.state_dict(),
            "names": [feature.name for feature in self.features],
            "channels": [channel.state_dict() for channel in self._channels],
            "widths": None,
        }
        if self._numbers is not None:
            state["widths"] = self._widths()
            state["numbers"] = self._numbers.state_dict()
            state["dispersion"] = self._dispersion.state_dict()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Raises ValueError where the data showed other features, or one of rows alone other numbers."""
        own, saved = [feature.name for feature in self.features], state["names"]
        if own != saved:
            raise ValueError(
                f"the checkpoint's value model looks at {', '.join(saved)}, this run at {', '.join(own)}: "
                "the data had other columns; resume with those, or start a new run from the checkpoint's "
                "weights (model_name_or_path)"
            )
        for channel, own in zip(self._channels, state["channels"], strict=True):
            channel.check(own)
        self._kept = None
        self._terms.load_state_dict(state["terms"])
        for channel, own in zip(self._channels, state["channels"], strict=True):
            channel.load_state_dict(own)
        if state["widths"] is not None:
            self._make_numbers(state["widths"])
            assert self._numbers is not None
            self._numbers.load_state_dict(state["numbers"])
            self._dispersion.load_state_dict(state["dispersion"])


def _finds(feature: Feature, pool: PromptPool, senses: Senses) -> bool:
    """Binds it; False where it is optional and the data lacks what it looks at."""
    try:
        feature.bind(pool, senses)
    except ValueError:
        if not feature.optional:
            raise
        return False
    return True
