"""What the trainer's process and the rollout process tell each other; all of it can be pickled."""

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Order:
    """A prompt to roll out: `count` completions of `row`, as the group of this number."""

    number: int
    row: dict[str, Any]
    count: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """A graded group of G completions under F reward functions.

    `reward_FG` is NaN where a completion could not be scored, `length_G` in tokens, `version` that of the
    policy when the rollout began. `samples` are TRL's rows for the update, one or more a completion.
    """

    number: int
    samples: list[Any]
    reward_FG: np.ndarray
    length_G: np.ndarray
    version: int
    generation_seconds: float
    grading_seconds: float


@dataclass(frozen=True, slots=True)
class Failure:
    """A group that could not be rolled out, and why."""

    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class GradingErrors:
    """Completions that a reward function failed on, which count as unscorable, and one of the reasons."""

    name: str
    num_rows: int
    reason: str
