"""Ridge regression on the hashed terms of all groups, solved in the dual a block of groups at a time.

    y_i = sum_f s_f phi_f(i) . w_f + noise_i,   w_f ~ Normal(0, 1),   noise_i ~ Normal(0, n_i)

phi_f are the terms of feature f, s_f its scale, n_i the noise of a group beside that of a large one. Each
group has one number a_i, its dual, and w_f = s_f sum_i a_i phi_f(i): after a round, the numbers of the round
and of some remembered ones are solved for while all others stay (block coordinate ascent; Shalev-Shwartz and
Zhang, arXiv 1209.1873). There is no learning rate; one pass ends near a fit from scratch; and a group that is
no longer remembered keeps its number. The scales follow the evidence (`evidence.py`) whenever the groups seen
have doubled.
"""

from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from rlkit.curriculum.estimators.evidence import best_scales
from rlkit.curriculum.estimators.features.hashed import BITS, WIDTH, Hashed

MEMORY, MEMORY_TERMS = 20_000, 10_000_000
"""Groups that are remembered, and terms of them all: 80 MB at most, however long the prompts."""
SCALE = 0.7
"""Of each feature at the start, beside noise of 1 (LOG.md: 0.5 to 1 do as well)."""
BLOCKS, BLOCK = 2, 1024
"""Solves after a round, and groups in each."""
STEPS = 4
"""Of conjugate gradients in a solve."""
FIRST_LOOK, MOST_LOOKED_AT = 256, 256
"""Groups after which the scales are looked at first, and groups that are looked at."""


@dataclass
class Round:
    """Graded groups to learn from again: what they were, what was to be explained, and their duals."""

    terms: Hashed
    target_P: np.ndarray
    noise_P: np.ndarray
    dual_P: np.ndarray

    def __len__(self) -> int:
        return len(self.noise_P)


ROUND = [field.name for field in fields(Round)][1:]


class TermsRidge:
    """Regression of one target on the terms of `num_features`, whose buckets lie one behind the other.

    Args:
        seed: of which groups it learns from again.
    """

    def __init__(self, num_features: int, seed: int):
        self.num_features, self.seed = num_features, seed
        self._scale_F = np.full(num_features, SCALE, dtype=np.float32)
        self._weights_W = np.zeros(num_features * WIDTH, dtype=np.float32)
        self._rounds: list[Round] = []
        self._num_rounds, self._num_seen, self._next_look = 0, 0, FIRST_LOOK

    def predict(self, terms: Hashed) -> np.ndarray:
        """(N,) the value of each prompt."""
        squared_E = self._scale_F[terms.bucket_E >> BITS] ** 2
        return terms.sums(terms.weight_E * squared_E * self._weights_W[terms.bucket_E]).astype(float)

    def learn(self, terms: Hashed, target_P: np.ndarray, noise_P: np.ndarray) -> None:
        """Takes in a round's groups."""
        self._rounds.append(Round(terms, target_P, noise_P, np.zeros_like(target_P)))
        self._num_rounds += 1
        self._num_seen += len(target_P)
        self._forget()
        if self._num_seen >= self._next_look:
            self._next_look = 2 * self._num_seen
            self._look_at_scales()
        rng = np.random.default_rng((self.seed, self._num_rounds))
        order = rng.permutation(len(self._rounds) - 1).tolist()
        block = [len(self._rounds) - 1]
        for _ in range(BLOCKS):
            num_groups = sum(len(self._rounds[k]) for k in block)
            while order and num_groups < BLOCK:
                block.append(order.pop())
                num_groups += len(self._rounds[block[-1]])
            self._solve([self._rounds[k] for k in block])
            block = [order.pop()] if order else [len(self._rounds) - 1]

    def _forget(self) -> None:
        num_groups = sum(map(len, self._rounds))
        num_terms = sum(len(part.terms.bucket_E) for part in self._rounds)
        while len(self._rounds) > 1 and (num_groups > MEMORY or num_terms > MEMORY_TERMS):
            oldest = self._rounds.pop(0)
            num_groups, num_terms = num_groups - len(oldest), num_terms - len(oldest.terms.bucket_E)

    def _look_at_scales(self) -> None:
        """The scales by the evidence of the latest groups."""
        first, num = len(self._rounds), 0
        while first > 0 and num < MOST_LOOKED_AT:
            first -= 1
            num += len(self._rounds[first])
        rounds = self._rounds[first:]
        latest = np.arange(max(num - MOST_LOOKED_AT, 0), num)
        terms = Hashed.concatenate([part.terms for part in rounds]).take(latest)
        target_P = np.concatenate([part.target_P for part in rounds])[latest]
        noise_P = np.concatenate([part.noise_P for part in rounds])[latest]
        self._scale_F = best_scales(terms, target_P, noise_P, self._scale_F)

    def _solve(self, rounds: list[Round]) -> None:
        """Conjugate gradients for these groups' duals: (A A' + noise) dual = what others leave."""
        terms = Hashed.concatenate([part.terms for part in rounds])
        bucket_M, column_E = np.unique(terms.bucket_E, return_inverse=True)
        num_E = np.diff(terms.start_N)
        squared_E = self._scale_F[terms.bucket_E >> BITS] ** 2 * terms.weight_E
        noise_P = np.concatenate([part.noise_P for part in rounds])
        dual_P = np.concatenate([part.dual_P for part in rounds])
        target_P = np.concatenate([part.target_P for part in rounds])

        def spread(value_P: np.ndarray) -> np.ndarray:
            return np.bincount(column_E, np.repeat(value_P, num_E) * terms.weight_E, minlength=len(bucket_M))

        left_P = target_P - self.predict(terms) - noise_P * dual_P
        change_P, direction_P, size = np.zeros(len(left_P)), left_P, left_P @ left_P
        for _ in range(STEPS):
            image_P = terms.sums(spread(direction_P)[column_E] * squared_E) + noise_P * direction_P
            length = size / max(direction_P @ image_P, 1e-12)
            change_P += length * direction_P
            left_P = left_P - length * image_P
            size, before = left_P @ left_P, size
            direction_P = left_P + size / max(before, 1e-12) * direction_P
        dual_P += change_P
        self._weights_W[bucket_M] += spread(change_P).astype(np.float32)
        ends = np.cumsum([len(part) for part in rounds])
        for part, dual in zip(rounds, np.split(dual_P, ends[:-1]), strict=True):
            part.dual_P[:] = dual

    def state_dict(self) -> dict[str, Any]:
        used_M = np.flatnonzero(self._weights_W)
        state: dict[str, Any] = {
            "num_rounds": self._num_rounds,
            "num_seen": self._num_seen,
            "next_look": self._next_look,
            "scale_F": self._scale_F.copy(),
            "size_R": np.array([len(part) for part in self._rounds]),
            "used_M": used_M,
            "weights_M": self._weights_W[used_M],
        }
        if self._rounds:
            state |= asdict(Hashed.concatenate([part.terms for part in self._rounds]))
            for name in ROUND:
                state[name] = np.concatenate([getattr(part, name) for part in self._rounds])
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._num_rounds, self._num_seen = state["num_rounds"], state["num_seen"]
        self._next_look, self._scale_F = state["next_look"], np.array(state["scale_F"])
        self._rounds = []
        ends = np.cumsum(state["size_R"])
        if len(ends):
            terms = Hashed(**{field.name: state[field.name] for field in fields(Hashed)})
            for first, end in zip(np.append(0, ends), ends, strict=False):
                values = [np.array(state[name][first:end]) for name in ROUND]
                self._rounds.append(Round(terms.take(np.arange(first, end)), *values))
        self._weights_W = np.zeros(self.num_features * WIDTH, dtype=np.float32)
        self._weights_W[state["used_M"]] = state["weights_M"]
