"""What the policy's forward over prompts shows, read once for all features that look at it.

A reading is kept and serves for `age` steps, if its prompt comes up again: the policy has moved on by then,
and LOG.md has what that costs.
"""

from dataclasses import fields
from typing import Any

import numpy as np

from rlkit.curriculum.estimators import Reading, Senses
from rlkit.curriculum.estimators.features.answer import answer_text, check_gold
from rlkit.curriculum.estimators.features.feature import Feature
from rlkit.curriculum.estimators.features.hashed import Hashed
from rlkit.prompts.pool import PromptPool
from rlkit.settings.columns import value_of

PARTS = [field.name for field in fields(Reading)]


class Readings:
    """Readings of prompts by their index.

    Args:
        layer: of the states, as a share of the depth; None where no feature looks at them.
        gold_column: of the references whose likelihood is read; None where no feature looks at it.
        age: steps that a reading serves, at least 1.
    """

    def __init__(self, layer: float | None, gold_column: str | None, age: int = 1):
        self.layer, self.gold_column, self.age = layer, gold_column, age
        self.num_read = 0
        self._index_K = self._step_K = np.empty(0, dtype=np.int64)
        self._part: dict[str, np.ndarray] = {}

    def bind(self, pool: PromptPool, senses: Senses, feature: str) -> None:
        """Raises ValueError where the host has no policy to read with, or the data no golds."""
        if feature not in senses.shows:
            raise ValueError(
                f"value_features names {feature}, which needs the policy itself, and this host does not show "
                "it (the simulator; an asynchronous trainer shows likelihoods alone); leave "
                f"{feature} out, or use CurriculumGRPOTrainer"
            )
        if self.gold_column is not None:
            check_gold(pool, self.gold_column, "likelihood")
        self._pool, self._senses = pool, senses

    def __call__(self, index_N: np.ndarray, rows: list[dict[str, Any]]) -> Reading:
        """What is not known of these prompts, or is too old, is read."""
        self._take(np.flatnonzero(self._serves()))
        missing = np.flatnonzero(~np.isin(index_N, self._index_K))
        if len(missing):
            self._add(index_N[missing], [rows[position] for position in missing.tolist()])
        order = np.argsort(self._index_K)
        place_N = order[np.searchsorted(self._index_K, index_N, sorter=order)]
        return Reading(**{name: self._part[name][place_N] if name in self._part else None for name in PARTS})

    def _serves(self) -> np.ndarray:
        return self._pool.step - self._step_K < self.age

    def _take(self, positions: np.ndarray) -> None:
        self._index_K, self._step_K = self._index_K[positions], self._step_K[positions]
        self._part = {name: value[positions] for name, value in self._part.items()}

    def _add(self, index_M: np.ndarray, rows: list[dict[str, Any]]) -> None:
        column = self.gold_column
        golds = None if column is None else [answer_text(value_of(row, column)) for row in rows]
        read = self._senses.read(index_M, self.layer, golds)
        self.num_read += len(index_M)
        for name in PARTS:
            value = getattr(read, name)
            if value is not None:
                old = self._part.get(name)
                self._part[name] = value if old is None else np.concatenate([old, value])
        self._index_K = np.concatenate([self._index_K, index_M])
        self._step_K = np.concatenate([self._step_K, np.full(len(index_M), self._pool.step)])

    def state_dict(self) -> dict[str, Any]:
        self._take(np.flatnonzero(self._serves()))
        state = {"key_K": self._pool.key_N[self._index_K], "step_K": self._step_K}
        return {**state, "num_read": self.num_read, "part": dict(self._part)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        index_K = self._pool.find(np.asarray(state["key_K"]))
        self._index_K, self._step_K = index_K, np.array(state["step_K"])
        self._part = {name: np.array(value) for name, value in state["part"].items()}
        self.num_read = state["num_read"]
        self._take(np.flatnonzero(index_K >= 0))


class OfPolicy(Feature):
    """A feature of readings; several may share them, and each saves them."""

    static = False
    name: str

    def __init__(self, readings: Readings):
        self.readings = readings

    def bind(self, pool: PromptPool, senses: Senses) -> None:
        """Raises as `Readings.bind`."""
        self.readings.bind(pool, senses, self.name)

    def state_dict(self) -> dict[str, Any]:
        return self.readings.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.readings.load_state_dict(state)


def numbers_alone(number_NK: np.ndarray) -> Hashed:
    """Plain numbers of prompts that have no terms."""
    nothing = np.zeros(len(number_NK) + 1, dtype=np.int64)
    return Hashed(nothing, np.empty(0, np.int32), np.empty(0, np.float32), number_NK.astype(np.float32))
