"""The head over what rows say: two ridge regressions that share the work of following a changing policy.

    value = center + slow(terms, numbers) + recent(numbers)

`slow` is ridge regression on the hashed terms of all groups. It is solved in the dual, where each group
has one number and the weights are the sum of the groups' features times these: after a round, the numbers
of the round and of some remembered ones are solved for while all others stay (block coordinate ascent;
Shalev-Shwartz and Zhang, arXiv 1209.1873). There is no learning rate; one pass ends near a fit from scratch;
and a group that is no longer remembered keeps its number.

`recent` is ridge regression on the plain numbers alone, in which a group loses half of its weight every
`HALF_LIFE`: what `slow` leaves of late, as when the policy gets better. Each group keeps the correction of
its time, and `slow` learns what is left, so that old groups stay true while the policy moves.

Both predict mean and variance of a group's signal, by squared error.
"""

from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from rlkit.curriculum.estimators import Senses
from rlkit.curriculum.estimators.features import Feature
from rlkit.curriculum.estimators.features.answer import Answer
from rlkit.curriculum.estimators.features.columns import Columns
from rlkit.curriculum.estimators.features.hashed import WIDTH, Hashed, rarity
from rlkit.prompts.pool import PromptPool

MEMORY, MEMORY_TERMS = 20_000, 10_000_000
"""Groups that are remembered, and terms of them all: 80 MB at most, however long the prompts."""
SAMPLE = 8192
"""Prompts of the pool that tell which terms are rare, and how numbers vary."""
PENALTY = 2.0
BLOCKS, BLOCK = 2, 1024
"""Solves after a round, and groups in each."""
STEPS = 6
"""Of conjugate gradients in a solve."""
HALF_LIFE = 1000
"""Groups after which a group counts half in `recent`."""
RECENT_PENALTY = 10.0
NUMBER = 0.1
"""Of a number one standard deviation from the pool's mean; the terms of a prompt's text have unit length."""
SCALE: dict[type, float] = {Answer: 0.7, Columns: 0.7}
"""Length of the terms of other features (LOG.md: 0.5 to 1 do as well)."""
CENTER = np.array([[0.5], [0.125]])
EDGE = 0.005
"""The predicted mean stays so far from 0 and 1."""


@dataclass
class Round:
    """Graded groups to learn from again. Rows of arrays `_2P` are the mean and the variance."""

    features: Hashed
    value_2P: np.ndarray
    """What was seen, less `CENTER`."""
    noise_P: np.ndarray
    """Variance of the group's mean about its prompt's, relative to that of a large group."""
    offset_2P: np.ndarray
    """What `recent` said of it in its time."""
    dual_2P: np.ndarray

    def __len__(self) -> int:
        return len(self.noise_P)


ROUND = [field.name for field in fields(Round)][1:]


class HashedHead:
    """Predicts mean and variance from features of rows; `seed` is of which groups it learns from again."""

    def __init__(self, seed: int, features: list[Feature]) -> None:
        self.seed, self.features = seed, features
        self.loss = float("nan")
        self._rounds: list[Round] = []
        self._num_rounds = 0
        self._weights_2W = np.zeros((2, WIDTH), dtype=np.float32)

    def bind(self, pool: PromptPool, senses: Senses) -> None:
        """Reads a sample of the pool's rows, which are all that is used."""
        self._pool = pool
        num = min(SAMPLE, len(pool))
        index_N = np.sort(np.random.default_rng(0).choice(len(pool), num, replace=False))
        rows = pool.take(index_N)
        for feature in self.features:
            feature.bind(pool, senses)
        sample = [feature.look(index_N, rows) for feature in self.features]
        self._rarity_FW = [rarity(part) for part in sample]
        number_NK = np.concatenate([part.number_NK for part in sample], axis=1)
        self._center_K = number_NK.mean(axis=0)
        self._spread_K = number_NK.std(axis=0) + 1e-3
        self._dense_2K = np.zeros((2, 1 + number_NK.shape[1]))
        self._recent_2K = np.zeros((2, 1 + number_NK.shape[1]))

    def look(self, index_N: np.ndarray) -> Hashed:
        rows = self._pool.take(index_N)
        parts = [
            feature.look(index_N, rows).weighted(rarity_W)
            for feature, rarity_W in zip(self.features, self._rarity_FW, strict=True)
        ]
        scales = [SCALE.get(type(feature), 1.0) for feature in self.features]
        return Hashed.joined(parts, scales)

    def take(self, features: Hashed, positions: np.ndarray) -> Hashed:
        return features.take(positions)

    def predict(self, features: Hashed) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance, (N,) each, the mean inside (0, 1) and the variance possible for it."""
        value_2N = CENTER + self._value(features)
        mean_N = np.clip(value_2N[0], EDGE, 1 - EDGE)
        limit_N = mean_N * (1 - mean_N)
        return mean_N, np.clip(value_2N[1], 0.02 * limit_N, limit_N)

    def learn(self, features: Hashed, mean: np.ndarray, variance: np.ndarray, count: np.ndarray) -> None:
        """Takes in a round's groups: features, mean, unbiased variance and scored completions."""
        value_2P = np.stack([mean, variance]) - CENTER
        # One completion has no variance of its own: it is taken to be as expected, which teaches nothing.
        value_2P[1] = np.where(count > 1, value_2P[1], self._value(features)[1])
        # A prompt's own difficulty varies more than the flips of a group: more of them say little more.
        noise_P = 1 + 1 / count
        self._rounds.append(
            Round(features, value_2P, noise_P, np.zeros_like(value_2P), np.zeros_like(value_2P))
        )
        self._num_rounds += 1
        self._forget()
        self._fit_recent()
        rng = np.random.default_rng((self.seed, self._num_rounds))
        order = rng.permutation(len(self._rounds) - 1).tolist()
        block = [len(self._rounds) - 1]
        for _ in range(BLOCKS):
            while order and sum(len(self._rounds[k]) for k in block) < BLOCK:
                block.append(order.pop())
            self._solve([self._rounds[k] for k in block])
            block = [order.pop()] if order else [len(self._rounds) - 1]

    def _forget(self) -> None:
        num_groups = sum(map(len, self._rounds))
        num_terms = sum(len(part.features.bucket_E) for part in self._rounds)
        while len(self._rounds) > 1 and (num_groups > MEMORY or num_terms > MEMORY_TERMS):
            oldest = self._rounds.pop(0)
            num_groups, num_terms = num_groups - len(oldest), num_terms - len(oldest.features.bucket_E)

    def _dense(self, features: Hashed) -> np.ndarray:
        """(N, 1 + K) a constant, and the numbers on the pool's scale."""
        scaled_NK = np.clip((features.number_NK - self._center_K) / self._spread_K, -4, 4) * NUMBER
        return np.concatenate([np.ones((len(features), 1)), scaled_NK], axis=1)

    def _value(self, features: Hashed) -> np.ndarray:
        return self._slow(features) + self._recent_2K @ self._dense(features).T

    def _slow(self, features: Hashed) -> np.ndarray:
        """(2, N) before the center and the recent correction are added."""
        columns = [
            features.sums(features.weight_E * weights_W[features.bucket_E]) for weights_W in self._weights_2W
        ]
        return np.stack(columns) + self._dense_2K @ self._dense(features).T

    def _fit_recent(self) -> None:
        rounds, num = [], 0
        while num < 3 * HALF_LIFE and len(rounds) < len(self._rounds):
            rounds.append(self._rounds[-1 - len(rounds)])
            num += len(rounds[-1])
        rounds.reverse()
        features = Hashed.concatenate([part.features for part in rounds])
        left_2P = np.concatenate([part.value_2P for part in rounds], axis=1) - self._slow(features)
        noise_P = np.concatenate([part.noise_P for part in rounds])
        dense_PK = self._dense(features)
        age_P = np.arange(num)[::-1]
        weighted_PK = dense_PK * (0.5 ** (age_P / HALF_LIFE) / noise_P)[:, None]
        precision_KK = weighted_PK.T @ dense_PK + RECENT_PENALTY * np.eye(dense_PK.shape[1])
        recent_K2 = np.linalg.solve(precision_KK, weighted_PK.T @ left_2P.T)
        self._recent_2K = np.ascontiguousarray(recent_K2.T)  # as when it is loaded: else the last bit differs
        latest = rounds[-1]
        latest.offset_2P[:] = self._recent_2K @ dense_PK[-len(latest) :].T

    def _solve(self, rounds: list[Round]) -> None:
        """Conjugate gradients for these groups' dual numbers: (A A' + penalty) dual = what others leave."""
        features = Hashed.concatenate([part.features for part in rounds])
        dense_PK = self._dense(features)
        bucket_M, column_E = np.unique(features.bucket_E, return_inverse=True)
        num_E, weight_E = np.diff(features.start_N), features.weight_E
        penalty_P = PENALTY * np.concatenate([part.noise_P for part in rounds])
        dual_2P = np.concatenate([part.dual_2P for part in rounds], axis=1)
        target_2P = np.concatenate([part.value_2P - part.offset_2P for part in rounds], axis=1)
        residual_2P = target_2P - self._slow(features)

        def spread(value_P: np.ndarray) -> np.ndarray:
            return np.bincount(column_E, np.repeat(value_P, num_E) * weight_E, minlength=len(bucket_M))

        for value in range(2):
            left_P = residual_2P[value] - penalty_P * dual_2P[value]
            change_P, direction_P, size = np.zeros(len(left_P)), left_P, left_P @ left_P
            for _ in range(STEPS):
                image_P = features.sums(spread(direction_P)[column_E] * weight_E)
                image_P += dense_PK @ (dense_PK.T @ direction_P) + penalty_P * direction_P
                length = size / max(direction_P @ image_P, 1e-12)
                change_P += length * direction_P
                left_P = left_P - length * image_P
                size, before = left_P @ left_P, size
                direction_P = left_P + size / max(before, 1e-12) * direction_P
            dual_2P[value] += change_P
            self._weights_2W[value, bucket_M] += spread(change_P).astype(np.float32)
            self._dense_2K[value] += dense_PK.T @ change_P
        self.loss = float(np.mean(residual_2P[0] ** 2))
        ends = np.cumsum([len(part) for part in rounds])
        for part, dual in zip(rounds, np.split(dual_2P, ends[:-1], axis=1), strict=True):
            part.dual_2P[:] = dual

    def state_dict(self) -> dict[str, Any]:
        rounds = self._rounds
        used_M = np.flatnonzero(self._weights_2W.any(axis=0))
        state: dict[str, Any] = {
            "num_rounds": self._num_rounds,
            "size_R": np.array([len(part) for part in rounds]),
            "used_M": used_M,
            "weights_2M": self._weights_2W[:, used_M],
            "dense_2K": self._dense_2K.copy(),
            "recent_2K": self._recent_2K.copy(),
        }
        if rounds:
            state |= asdict(Hashed.concatenate([part.features for part in rounds]))
            for name in ROUND:
                state[name] = np.concatenate([getattr(part, name) for part in rounds], axis=-1)
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._num_rounds, self._rounds = state["num_rounds"], []
        ends = np.cumsum(state["size_R"])
        if len(ends):
            features = Hashed(**{field.name: state[field.name] for field in fields(Hashed)})
            for first, end in zip(np.append(0, ends), ends, strict=False):
                values = [np.array(state[name][..., first:end]) for name in ROUND]
                self._rounds.append(Round(features.take(np.arange(first, end)), *values))
        self._weights_2W = np.zeros((2, WIDTH), dtype=np.float32)
        self._weights_2W[:, state["used_M"]] = state["weights_2M"]
        self._dense_2K, self._recent_2K = np.array(state["dense_2K"]), np.array(state["recent_2K"])
