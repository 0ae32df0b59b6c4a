"""The one head of value models: Bayesian linear regression on all that is seen of a prompt.

    mean = 1/2 + terms(prompt) + numbers(prompt),   variance = mean * (1 - mean) * (1 + dispersion(prompt))

`terms` is ridge regression on hashed terms (`terms_ridge.py`), which remembers; `numbers` regression on plain
numbers (`numbers_ridge.py`), those of the policy's states too, which forgets as fast as the evidence says.
Each learns what the other's prediction leaves of a group in its time: old groups stay true while the policy
moves. `dispersion` is 0, the prior, for binary rewards: there a group's variance follows from its mean.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rlkit.curriculum.estimators import Senses
from rlkit.curriculum.estimators.features import Feature
from rlkit.curriculum.estimators.features.hashed import WIDTH, Hashed, rarity
from rlkit.curriculum.estimators.numbers_ridge import NumbersRidge
from rlkit.curriculum.estimators.standardized import Standardized
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
        self.features = [feature for feature in self._wanted if _finds(feature, pool, senses)]
        self._terms = TermsRidge(len(self.features), self.seed)
        self._scalers = [Standardized(self.seed) for _ in self.features]
        num = min(SAMPLE, len(pool))
        index_N = np.sort(np.random.default_rng(0).choice(len(pool), num, replace=False))
        rows = pool.take(index_N)
        self._rarity_FW: list[np.ndarray | None] = []
        for feature, scaler in zip(self.features, self._scalers, strict=True):
            sample = feature.look(index_N, rows) if feature.static else None
            self._rarity_FW.append(None if sample is None else rarity(sample))
            if sample is not None:
                scaler.fit(sample.number_NK)

    def look(self, index_N: np.ndarray) -> Seen:
        """Terms, each feature's in buckets of its own, and a constant with the standardized numbers."""
        static = sum(feature.static for feature in self.features)
        if len(self._pool) > KEPT:
            parts = self._read(index_N, range(len(self.features)))
        else:
            if self._kept is None and static:
                parts = self._read(np.arange(len(self._pool)), range(static))
                self._kept = Hashed.joined(parts)
            kept = [] if self._kept is None else [self._kept.take(index_N)]
            parts = kept + self._read(index_N, range(static, len(self.features)))
        if self._numbers is None:
            self._make_numbers([scaler.width for scaler in self._scalers])
        numbers = [np.ones((len(index_N), 1)), *(part.number_NK for part in parts)]
        with_terms = [part.without_numbers() for part in parts if len(part.bucket_E)]
        return Seen(with_terms, np.concatenate(numbers, axis=1))

    def _read(self, index_N: np.ndarray, numbers: range) -> list[Hashed]:
        """What the features of these numbers show."""
        rows = self._pool.take(index_N) if numbers else []
        parts = []
        for number in numbers:
            part, rarity_W = self.features[number].look(index_N, rows), self._rarity_FW[number]
            if rarity_W is not None:
                part = part.weighted(rarity_W)
            bucket_E = part.bucket_E + np.int32(number * WIDTH)
            number_NK = self._scalers[number](part.number_NK)
            parts.append(replace(part, bucket_E=bucket_E, number_NK=number_NK))
        return parts

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
        num = sum(scaler.num_replaced for scaler in self._scalers)
        found = {"value_model/not_finite": float(num)}
        for feature in self.features:
            found |= feature.metrics()
        return found

    def state_dict(self) -> dict[str, Any]:
        state: dict[str, Any] = {
            "terms": self._terms.state_dict(),
            "names": [feature.name for feature in self.features],
            "scalers": [scaler.state_dict() for scaler in self._scalers],
            "features": [feature.state_dict() for feature in self.features],
            "widths": None,
        }
        if self._numbers is not None:
            state["widths"] = [scaler.width for scaler in self._scalers]
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
        self._check_numbers(state["scalers"])
        self._kept = None
        self._terms.load_state_dict(state["terms"])
        for part, own in zip(
            [*self._scalers, *self.features], [*state["scalers"], *state["features"]], strict=True
        ):
            part.load_state_dict(own)
        if state["widths"] is not None:
            self._make_numbers(state["widths"])
            assert self._numbers is not None
            self._numbers.load_state_dict(state["numbers"])
            self._dispersion.load_state_dict(state["dispersion"])

    def _check_numbers(self, saved: list[dict[str, Any]]) -> None:
        for feature, scaler, state in zip(self.features, self._scalers, saved, strict=True):
            if feature.static and scaler.num_numbers != len(state["center_K"]):
                raise ValueError(
                    f"the checkpoint's value model knows {len(state['center_K'])} numbers of the feature "
                    f"{feature.name}, this run {scaler.num_numbers}: the data had other "
                    "columns; resume with those, or start a new run from the checkpoint's weights "
                    "(model_name_or_path)"
                )


def _finds(feature: Feature, pool: PromptPool, senses: Senses) -> bool:
    """Binds it; False where it is optional and the data lacks what it looks at."""
    try:
        feature.bind(pool, senses)
    except ValueError:
        if not feature.optional:
            raise
        return False
    return True
