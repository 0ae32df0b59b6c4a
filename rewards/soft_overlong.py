"""DAPO's soft overlong punishment plus 1, so that it lies in [0, 1]: 1.0 up to `max_length - margin` tokens.

From there it falls linearly to 0.0 at `max_length`. Equation 13 of Yu et al., arXiv 2503.14476, by TRL's
`get_soft_overlong_punishment`, which lies in [-1, 0]; a constant does not change a group's advantages. DAPO
adds it with weight 1 to the task's reward, with 20480 tokens of which the last 4096 are the margin.

TRL cuts completions at `max_completion_length`: give that as `max_length`, in a file of yours that the recipe
names as mine.py:overlong:

    overlong = SoftOverlong(max_length=1024, margin=256)
"""

from dataclasses import dataclass
from typing import Any

from rlkit.verify.text import Completion


@dataclass(frozen=True)
class SoftOverlong:
    """The reward for one length, in tokens; a ValueError names a number out of its range."""

    max_length: int = 20480
    margin: int = 4096

    __name__ = "soft_overlong"  # of its metrics

    def __post_init__(self) -> None:
        if not 0 <= self.margin <= self.max_length:
            raise ValueError(f"margin ({self.margin}) must be at least 0 and at most {self.max_length=}")

    def __call__(
        self, completions: list[Completion], completion_ids: list[list[int]], **_: Any
    ) -> list[float]:
        """Score the number of tokens of each completion."""
        from trl.rewards.other_rewards import get_soft_overlong_punishment

        punishment = get_soft_overlong_punishment(self.max_length, self.margin)
        return [1.0 + value for value in punishment(completion_ids=completion_ids)]


soft_overlong = SoftOverlong()
