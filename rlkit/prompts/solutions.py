"""The rows' written solutions, and how much of each may be revealed.

A share is that of a solution's characters. What may be revealed is found out once a row, when a hint of it is
first wanted: a host says by `examiners` what speaks against a beginning, such as that the reward accepts it.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any, TypeGuard

import numpy as np

from rlkit.prompts.cutting import cuts_between, cuts_of
from rlkit.prompts.pool import PromptPool

COLUMNS = ("solution", "demonstration")
"""Where solutions are looked for, in this order."""
ALLOWED = ""

Examiner = Callable[[dict[str, Any], str, list[str]], list[str]]
"""From a row, its solution and beginnings of it to a reason against each: `ALLOWED`, or a word."""


class Solutions:
    """Of each prompt of a pool.

    Args:
        column: that holds them, text, messages or a list of steps; None for the first there is of `COLUMNS`.

    Raises:
        ValueError: there is no such column.
    """

    def __init__(self, pool: PromptPool, column: str | None = None):
        self.pool = pool
        self.column = _column(pool, column)
        self.examiners: list[Examiner] = []
        self.refused: Counter[str] = Counter()
        """Beginnings left out, by reason; "nothing" counts the solutions of which none is left."""
        self._shares: dict[int, np.ndarray] = {}
        self._examined: set[int] = set()

    def of(self, row: dict[str, Any]) -> str:
        """A row's solution, "" where it has none."""
        from rlkit.verify.text import completion_text  # loads the graders, a fifth of `import rlkit`

        value = row.get(self.column)
        if _is_steps(value):
            return "".join(value)
        return completion_text(value) if isinstance(value, str | list) else ""

    def beginning_of(self, row: dict[str, Any], share: float) -> str:
        """The hint that a share stands for."""
        return beginning(self.of(row), share)

    def shares(self, index_N: np.ndarray) -> list[np.ndarray]:
        """What can be revealed of each, (K,) ascending shares from 0, as far as is known."""
        unknown = np.array([index for index in index_N.tolist() if index not in self._shares], dtype=np.int64)
        if len(unknown):
            for index, row in zip(unknown.tolist(), self.pool.take(unknown), strict=True):
                text, value = self.of(row), row.get(self.column)
                cuts = cuts_between(value) if _is_steps(value) else cuts_of(text)
                self._shares[index] = np.concatenate([[0.0], cuts / max(len(text), 1)])
        return [self._shares[index] for index in index_N.tolist()]

    def examined(self, index_P: np.ndarray) -> list[np.ndarray]:
        """The same, each examined."""
        new = np.array([index for index in index_P.tolist() if index not in self._examined], dtype=np.int64)
        if len(new):
            for index, row, shares in zip(new.tolist(), self.pool.take(new), self.shares(new), strict=True):
                self._shares[index] = self._allowed(row, shares)
                self._examined.add(index)
        return self.shares(index_P)

    def _allowed(self, row: dict[str, Any], shares: np.ndarray) -> np.ndarray:
        text = self.of(row)
        for examiner in self.examiners:
            if len(shares) > 1:
                reasons = examiner(row, text, [beginning(text, share) for share in shares[1:].tolist()])
                self.refused.update(reason for reason in reasons if reason != ALLOWED)
                shares = shares[[True, *(reason == ALLOWED for reason in reasons)]]
        self.refused["nothing"] += len(shares) == 1
        return shares

    def metrics(self) -> dict[str, float]:
        """Solutions examined, and the beginnings left out by reason, since the start."""
        counts = {f"hints/refused/{reason}": float(count) for reason, count in sorted(self.refused.items())}
        return {"hints/examined": float(len(self._examined)), **counts}

    def state_dict(self) -> dict[str, Any]:
        index_K = np.array(sorted(self._examined), dtype=np.int64)
        return {
            "key_K": self.pool.key_N[index_K],
            "shares": [self._shares[index] for index in index_K.tolist()],
            "refused": dict(self.refused),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what was examined of the prompts that the data still has."""
        index_K = self.pool.find(np.asarray(state["key_K"])).tolist()
        known = {index: shares for index, shares in zip(index_K, state["shares"], strict=True) if index >= 0}
        self._shares, self._examined = known, set(known)
        self.refused = Counter(state["refused"])


def beginning(text: str, share: float) -> str:
    """The first `share` of the characters, which is that of a cut: the hint."""
    return text[: round(share * len(text))]


def _is_steps(value: Any) -> TypeGuard[list[str]]:
    return isinstance(value, list) and bool(value) and all(isinstance(step, str) for step in value)


def _column(pool: PromptPool, column: str | None) -> str:
    names = pool.column_names
    found = next((name for name in ((column,) if column else COLUMNS) if name in names), None)
    if found is None:
        field = (
            f"hint_column ({column!r}) is"
            if column
            else f"hints need a column {' or '.join(COLUMNS)}, and it is"
        )
        raise ValueError(
            f"{field} not in the data, whose columns are {', '.join(sorted(names))}; name the column of the "
            "written solutions by hint_column, or leave hints out"
        )
    return found
