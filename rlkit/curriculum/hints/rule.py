"""What a rule of hints is: how much of each candidate's solution to reveal."""

from typing import Any, Protocol

import numpy as np

from rlkit.curriculum.hints.effect import Effect
from rlkit.prompts.pool import PromptPool
from rlkit.types import Groups


class Rule(Protocol):
    """Chooses shares, and learns from every graded group, with help or without.

    `price` is what the selector takes off the variance of a prompt, for each unit of its share.
    """

    price: float

    def bind(self, pool: PromptPool, effect: Effect) -> None: ...

    def choose(
        self,
        index_N: np.ndarray,
        possible: list[np.ndarray],
        logit_N: np.ndarray,
        rng: np.random.Generator,
    ) -> np.ndarray:
        """One of the `possible` shares of each candidate, (N,); `logit_N` are their unaided logits."""
        ...

    def observe(self, groups: Groups) -> None: ...

    def metrics(self) -> dict[str, float]: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


def below(shares: np.ndarray, most: float) -> float:
    """The greatest of the ascending `shares`, of which the first is 0, that is not above `most`."""
    return float(shares[np.searchsorted(shares, most, side="right") - 1])
