"""The one head of value models: Bayesian linear regression on all that is seen of a prompt.

    mean = 1/2 + terms(prompt) + numbers(prompt),   variance = mean * (1 - mean) * (1 + spread(prompt))

`terms` is ridge regression on hashed terms (`terms_ridge.py`), which remembers; `numbers` regression with
forgetting on plain numbers (`numbers_ridge.py`), the states' too, which follows a changing policy. Each learns
what the other's prediction left of a group when it was asked: old groups stay true while the policy moves.
`spread` is 0, the prior, for binary rewards: there a group's variance follows from its mean.

Numbers are standardized by the first prompts that are looked at, kept within `CLIP` standard deviations, and
scaled by the root of their feature's width. NaN and infinite ones are counted, and become the mean.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from rlkit.curriculum.estimators import Senses
from rlkit.curriculum.estimators.features import Feature
from rlkit.curriculum.estimators.features.hashed import WIDTH, Hashed, rarity
from rlkit.curriculum.estimators.numbers_ridge import NumbersRidge
from rlkit.curriculum.estimators.terms_ridge import TermsRidge
from rlkit.prompts.pool import PromptPool

SAMPLE = 8192
"""Prompts of the pool that tell which terms are rare, and how numbers vary."""
CLIP = 6.0
WIDEST = 512
"""Wider features are projected on so many random directions."""
EDGE = 0.005
"""The predicted mean stays so far from 0 and 1."""


class BayesHead:
    """Predicts mean, variance and its own squared error; `seed` is of which groups it learns from again."""

    def __init__(self, seed: int, features: list[Feature]) -> None:
        self.seed, self.features = seed, features
        self.loss = float("nan")

    def bind(self, pool: PromptPool, senses: Senses) -> None:
        self._pool = pool
        num = min(SAMPLE, len(pool))
        index = np.sort(np.random.default_rng(0).choice(len(pool), num, replace=False))
        for feature in self.features:
            feature.bind(pool)
        sample = [feature.look(pool.take(index)) for feature in self.features]
        self._rarity_FW = [rarity(part) for part in sample]
        number_NK = np.concatenate([part.number_NK for part in sample], axis=1)
        self._block_K = np.repeat(np.arange(len(sample)), [part.number_NK.shape[1] for part in sample])
        self._center_K, self._spread_K = number_NK.mean(axis=0), number_NK.std(axis=0) + 1e-3
        self._terms = TermsRidge(len(self.features), self.seed)
        self._numbers = NumbersRidge(self._block_K)
        self._dispersion = NumbersRidge(self._block_K, half_lives=(1000.0,))

    def look(self, index_N: np.ndarray) -> Hashed:
        rows = self._pool.take(index_N)
        parts = [
            feature.look(rows).weighted(rarity_W)
            for feature, rarity_W in zip(self.features, self._rarity_FW, strict=True)
        ]
        # Each feature has its own buckets, one behind the other.
        parts = [replace(part, bucket_E=part.bucket_E + np.int32(k * WIDTH)) for k, part in enumerate(parts)]
        seen = Hashed.joined(parts, [1.0] * len(parts))
        x = np.clip((seen.number_NK - self._center_K) / self._spread_K, -CLIP, CLIP)
        x = x / np.sqrt(np.bincount(self._block_K)[self._block_K])
        return replace(seen, number_NK=np.concatenate([np.ones((len(x), 1)), x], axis=1))

    def take(self, features: Hashed, positions: np.ndarray) -> Hashed:
        return features.take(positions)

    def predict(self, features: Hashed) -> tuple[np.ndarray, np.ndarray]:
        mean_N = np.clip(0.5 + self._terms.predict(features) + self._numbers.predict(features.number_NK)[0], EDGE, 1 - EDGE)
        u = self._dispersion.predict(features.number_NK)[0]
        return mean_N, mean_N * (1 - mean_N) * np.clip(1 + u, 0.02, 1)

    def learn(self, features: Hashed, mean: np.ndarray, variance: np.ndarray, count: np.ndarray) -> None:
        y = mean - 0.5
        terms, numbers = self._terms.predict(features), self._numbers.predict(features.number_NK)[0]
        self.loss = float(np.mean((self.predict(features)[0] - mean) ** 2))
        weight = count / (count + 1)
        self._numbers.learn(features.number_NK, y - terms, weight)
        if MODE == "post":
            numbers = self._numbers.predict(features.number_NK)[0]
        self._terms.learn(replace(features, number_NK=features.number_NK[:, :0]), y - numbers, LAM / weight)
        binary = np.where(count > 1, mean * (1 - mean) + variance / count, 0.0)
        self._dispersion.learn(4 * binary[:, None] * features.number_NK, 4 * (variance - binary), weight)

MODE, LAM = "post", 1.0
