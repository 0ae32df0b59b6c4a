"""What a run may cost, on one of four axes: "rollouts=10000". A run stops after the step that spends it."""

from collections.abc import Mapping
from dataclasses import dataclass

AXES = {
    "steps": "step",
    "rollouts": "rollouts/spent_total",
    "tokens": "tokens/generated_total",
    "seconds": "seconds/total",
}
"""Each axis and its column of `metrics.jsonl`. Seconds include selection, but not evaluation and saving."""


@dataclass(frozen=True)
class Budget:
    """An amount on one axis."""

    axis: str
    amount: float

    def spent(self, row: Mapping[str, float]) -> float:
        """What a row of `metrics.jsonl`, or totals under its names, says was spent; 0 before a step."""
        return row.get(AXES[self.axis], 0.0)

    def is_spent(self, row: Mapping[str, float]) -> bool:
        return self.spent(row) >= self.amount

    def __str__(self) -> str:
        return f"{self.axis}={self.amount:g}" if self.amount < 1e6 else f"{self.axis}={self.amount:.0f}"


def parse_budget(text: str) -> Budget:
    """parse_budget("rollouts=10000") -> Budget("rollouts", 10000.0)

    Raises:
        ValueError: the axis does not exist, or the amount is no number above 0.
    """
    axis, _, amount = text.partition("=")
    remedy = f"give AXIS=AMOUNT with an axis of {', '.join(AXES)}, such as rollouts=10000"
    if axis not in AXES:
        raise ValueError(f"budget ({text!r}) has no axis {axis!r}; {remedy}")
    try:
        number = float(amount.replace("_", ""))
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise ValueError(f"budget ({text!r}) has no amount above 0; {remedy}")
    return Budget(axis, number)
