"""Rewards that come apart: a model's rises while a rule's falls, the sign of a policy that has found what the
model overrates (Skywork-R1V2, arXiv 2504.16656, watches for it; the rule here is ours).

Of each reward the mean over the latest W steps is held against that over the W steps before, in standard
errors of the difference, t = (later - earlier) / sqrt((s1^2 + s2^2) / W). A model's and a rule's are apart
where t >= z for the one and t <= -z for the other. No reward's scale plays a part.
"""

import math
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

MEAN = "rewards/{}/mean"
"""What TRL calls the mean of a reward in a step's metrics."""


class RewardWatch:
    """The means of rewards, step by step.

    Args:
        of_model: names of the rewards that are a model's opinion.
        of_rule: names of those that a rule decides.
        steps: W.
        errors: z.
    """

    def __init__(self, of_model: Sequence[str], of_rule: Sequence[str], steps: int, errors: float):
        self._of_model, self._of_rule = of_model, of_rule
        self._errors = errors
        self._means = {name: deque[float](maxlen=2 * steps) for name in (*of_model, *of_rule)}

    @property
    def columns(self) -> list[str]:
        """Of a step's metrics, those that it reads."""
        return [MEAN.format(name) for name in self._means]

    def observe(self, row: Mapping[str, float]) -> None:
        """Takes in a step's metrics; a mean that is missing or NaN is no news."""
        for name, means in self._means.items():
            mean = row.get(MEAN.format(name), math.nan)
            if not math.isnan(mean):
                means.append(mean)

    def apart(self) -> list[str]:
        """The pairs that are apart, in words."""
        changes = {name: self._change(name) for name in self._means}
        return [
            f"{model} up, {rule} down"
            for model in self._of_model
            for rule in self._of_rule
            if changes[model] >= self._errors and changes[rule] <= -self._errors
        ]

    def _change(self, name: str) -> float:
        """t, and 0 while there are too few steps. 1, 1, 3, 3 with W = 2 -> inf"""
        means = self._means[name]
        if len(means) < (means.maxlen or 0):
            return 0.0
        earlier, later = np.array(means).reshape(2, -1)
        difference = float(later.mean() - earlier.mean())
        error = math.sqrt((earlier.var(ddof=1) + later.var(ddof=1)) / len(later))
        return difference / error if error > 0 else math.copysign(math.inf, difference) if difference else 0.0

    def state_dict(self) -> dict[str, Any]:
        return {name: list(means) for name, means in self._means.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, means in self._means.items():
            means.clear()
            means.extend(state.get(name, ()))
