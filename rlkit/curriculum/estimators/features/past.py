"""The prompt's own earlier groups: how they came out, how long ago, how long they were.

    mean - 1/2, times its weight;  weight n / (n + 1);  log(1 + age) and a 1 where there is any;  log length

Successes and the number n of scored completions lose a factor `DECAY` each step since they were counted.
"""

from typing import Any

import numpy as np

from rlkit.curriculum.estimators import Senses
from rlkit.curriculum.estimators.features.feature import Feature
from rlkit.curriculum.estimators.features.hashed import Hashed
from rlkit.curriculum.estimators.features.readings import numbers_alone
from rlkit.curriculum.scale import Scale
from rlkit.prompts.pool import PromptPool
from rlkit.types import Groups

DECAY = 0.95
"""Weight of a group a step after it was graded (ours)."""


class Past(Feature):
    """Five plain numbers, all 0 for a prompt that was never graded."""

    static = False

    def __init__(self, scale: Scale | None = None):
        self.scale = scale or Scale()

    def bind(self, pool: PromptPool, senses: Senses) -> None:
        self._pool = pool
        self._success_N, self._count_N, self._length_N = np.zeros((3, len(pool)), dtype=np.float32)
        self._step_N = np.full(len(pool), -1, dtype=np.int32)

    def look(self, index_N: np.ndarray, rows: list[dict[str, Any]]) -> Hashed:
        age_N = self._pool.step + 1 - self._step_N[index_N]
        known_N = self._step_N[index_N] >= 0
        success_N, count_N = self._counts(index_N, self._pool.step + 1)
        weight_N = count_N / (count_N + 1)
        mean_N = success_N / np.where(known_N, count_N, 1)
        columns = [
            np.where(known_N, weight_N * (mean_N - 0.5), 0),
            weight_N,
            known_N,
            np.where(known_N, np.log1p(np.maximum(age_N, 0)), 0),
            np.log1p(self._length_N[index_N]),
        ]
        return numbers_alone(np.stack(columns, axis=1))

    def observe(self, groups: Groups) -> None:
        scored = groups.count_P > 0
        index, count, step = groups.index_P[scored], groups.count_P[scored], self._pool.step
        old_success, old_count = self._counts(index, step)
        self._success_N[index] = old_success + count * self.scale.share(groups.mean_P[scored])
        self._count_N[index] = old_count + count
        self._length_N[index] = groups.length_PG[scored].sum(axis=1) / groups.size_P[scored]
        self._step_N[index] = step

    def _counts(self, index_N: np.ndarray, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Successes and scored completions of each prompt, as they count in that step."""
        weight_N = DECAY ** (step - self._step_N[index_N]).astype(float)
        return weight_N * self._success_N[index_N], weight_N * self._count_N[index_N]

    def state_dict(self) -> dict[str, Any]:
        return {name: getattr(self, f"_{name}") for name in ("success_N", "count_N", "length_N", "step_N")}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, f"_{name}", self._pool.carried(value, -1 if name == "step_N" else 0))
