"""RMT's length reward: 1.0 at a budget of tokens that shrinks during training, less on both sides of it.

    B_t = max(B_min, floor(B_0 gamma^(t/T)))
    r(l) = l / B_t for l <= B_t,  2 - l / B_t for B_t < l <= 2 B_t,  0 beyond

t is the trainer's step and T its last one. Tian et al., arXiv 2509.24375, with B_0 = 800, B_min = 1 and
gamma = 0.2; their prompt states B_t ("use exactly B_t tokens within <think>"), which a data set made before
training cannot. They count the tokens within <think>, as `think_end_id` does; without it, all count.

Other numbers, in a file of yours, named in the recipe as mine.py:budget:

    budget = LengthBudget(start=2000, end=200, think_end_id=151668)  # </think> of Qwen3
"""

import math
from dataclasses import dataclass
from typing import Any

from rlkit.verify.text import Completion


@dataclass(frozen=True)
class LengthBudget:
    """The reward for one schedule; a ValueError names a number out of its range."""

    start: int = 800  # B_0, tokens
    end: int = 1  # B_min, tokens
    decay: float = 0.2  # gamma, what is left of B_0 at the last step
    think_end_id: int | None = None  # the token of </think>: count the tokens before it, or all without one

    __name__ = "length_budget"  # of its metrics

    def __post_init__(self) -> None:
        if not 1 <= self.end <= self.start:
            raise ValueError(f"end ({self.end}) must be at least 1 and at most start ({self.start})")
        if not 0 < self.decay <= 1:
            raise ValueError(f"decay ({self.decay}) must be above 0 and at most 1: the budget shrinks")

    def budget(self, step: int, num_steps: int) -> int:
        """B_t in tokens: LengthBudget().budget(50, 100) is 357, floor(800 * 0.2**0.5)."""
        progress = min(max(step, 0) / max(num_steps, 1), 1.0)
        return max(self.end, math.floor(self.start * self.decay**progress))

    def __call__(
        self, completions: list[Completion], completion_ids: list[list[int]], trainer_state: Any, **_: Any
    ) -> list[float]:
        """Score the number of tokens of each completion."""
        budget = self.budget(trainer_state.global_step, trainer_state.max_steps)
        return [triangle(self._length(ids), budget) for ids in completion_ids]

    def _length(self, ids: list[int]) -> int:
        return ids.index(self.think_end_id) if self.think_end_id in ids else len(ids)


def triangle(length: int, budget: int) -> float:
    """triangle(40, 80) and triangle(120, 80) are 0.5."""
    return max(0.0, 1.0 - abs(length - budget) / budget)


length_budget = LengthBudget()
