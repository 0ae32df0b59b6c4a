"""A value model that predicts no better than the mean is set aside, until it does.

Judged by the calibration's window of 512 groups: with few groups a step it takes as long to see either.
"""

import logging
from typing import Any

logger = logging.getLogger(__name__)


class Fallback:
    """Counts the steps in a row in which the predictions explain none of the variance of the groups' means.

    Args:
        steps: so many of them, and prompts are to be taken in the stream's order. 0 never does.
    """

    def __init__(self, steps: int = 0):
        self.steps = steps
        self._poor = 0

    @property
    def active(self) -> bool:
        return 0 < self.steps <= self._poor

    def observe(self, explained_variance: float | None) -> None:
        """Takes in a step's calibration; None is no news."""
        if self.steps == 0 or explained_variance is None:
            return
        before = self.active
        self._poor = self._poor + 1 if explained_variance <= 0 else 0
        if self.active and not before:
            logger.warning(
                "the value model was no better than the mean for %d steps: prompts are taken in the stream's "
                "order until it is. Try another value_backbone or a larger value_buffer; fallback_steps=0 "
                "keeps its choice",
                self.steps,
            )
        elif before and not self.active:
            logger.warning("the value model is better than the mean again, and chooses")

    def metrics(self) -> dict[str, float]:
        return {"guards/value_model": float(self.active)} if self.steps else {}

    def state_dict(self) -> dict[str, Any]:
        return {"poor": self._poor}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._poor = state["poor"]
