"""Numbers of several generations put together, as of one optimizer step or of the steps between two logs."""

import math
from collections.abc import Mapping
from typing import Any

SUMMED = ("funnel/", "rollouts/", "tokens/", "seconds/", "grade/", "generate/")
"""Beginnings of the names of what one generation counts or takes."""
CUMULATIVE = "_total"
"""End of the names of what is counted from the start of the run."""


class Account:
    """Sums are summed, means weighted; all else is cumulative or a state, and the latest counts.

    Two generations with `tokens/generated` 3 and 4, `rollouts/spent_total` 8 and 16, and an `effective_ratio`
    of 0.5 and 1 (weights 1 and 3) -> 7, 16, 0.875
    """

    def __init__(self) -> None:
        self.row: dict[str, float] = {}
        self._weight: dict[str, float] = {}

    def add(self, row: Mapping[str, float], weights: Mapping[str, float]) -> None:
        """Takes in a generation; `weights` are of its means. One of nothing (weight 0) counts only alone."""
        for name, value in row.items():
            if name in weights:
                self.row[name] = self._mean(name, value, weights[name])
            elif name.startswith(SUMMED) and not name.endswith(CUMULATIVE):
                self.row[name] = self.row.get(name, 0) + value
            else:
                self.row[name] = value

    def _mean(self, name: str, value: float, weight: float) -> float:
        before = self._weight.get(name, 0.0)
        self._weight[name] = before + weight
        if before == 0:
            return value
        return (
            self.row[name] if weight == 0 else (before * self.row[name] + weight * value) / (before + weight)
        )

    def state_dict(self) -> dict[str, Any]:
        return {"row": dict(self.row), "weight": dict(self._weight)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.row, self._weight = dict(state["row"]), dict(state["weight"])


def weighted_mean(values: list[float], weights: list[float]) -> float:
    """Without NaNs; NaN where there is nothing else. weighted_mean([1, 4], [2, 1]) -> 2.0"""
    known = [pair for pair in zip(values, weights, strict=True) if not math.isnan(pair[0])]
    total = sum(weight for _, weight in known)
    return sum(value * weight for value, weight in known) / total if total else math.nan
