"""A probe: prompts of the pool that are rolled out only to be looked at, never trained on."""

from collections.abc import Callable
from dataclasses import dataclass

from rlkit.types import Groups


@dataclass(frozen=True)
class Probe:
    """`share` batches of random prompts, rolled out before the other rounds of every `every`-th step.

    `learn` gets their graded groups; they are not scored against a prediction, as none was made.
    """

    share: float
    every: int
    learn: Callable[[Groups], None]
