"""A value model that predicts no better than the mean is set aside, until it does.

It is judged on prompts that it did not choose: those of the exploration share, and all while it is set aside.
Among chosen ones success looks like failure, as they are chosen to be alike.

    skill = 1 - sum (m - v)^2 / sum m^2      over the last `WINDOW` such groups

m is a group's mean less the running mean of the groups before, and v its prediction less the running mean of
predictions: a model that only follows the level has no skill, and one that is wrong about the level alone
keeps its own, since choosing needs the order only. Where true means differ by next to nothing beside the
flips of a completion, as when all is solved, there is nothing to predict, and the model chooses.
"""

import logging
from typing import Any

import numpy as np

from rlkit.types import Groups, Prediction

logger = logging.getLogger(__name__)

WINDOW = 256
LEAST = 24
"""Groups without which nothing is said."""
MEMORY = 0.97
"""Weight of the past, a group, in the running mean."""
LEAST_SPREAD = 0.15
"""Variance of the true means that is worth predicting, as a share of a completion's about its mean."""
LEAST_SKILL = 0.02
"""A model that follows the level has some luck beside the running mean (LOG.md)."""


class Fallback:
    """Whether prompts are to be taken in the stream's order.

    Args:
        steps: so many of them, the first of the run, give a value model time to learn. 0 never judges.
    """

    def __init__(self, steps: int = 0):
        self.steps = steps
        self.active = False
        self._num_steps = 0
        self._levels_2: np.ndarray | None = None
        # (m - v)^2, m^2, and the variance of a completion, and of a mean of them.
        self._recent_K4 = np.empty((0, 4))

    def observe(self, prediction: Prediction, groups: Groups) -> None:
        """Takes in groups that the predictions did not choose, with what was said of them before."""
        if self.steps == 0:
            return
        scored = groups.count_P > 0
        count_P, mean_P = groups.count_P[scored], groups.mean_P[scored]
        flips_P = groups.variance_P[scored] * count_P / np.maximum(count_P - 1, 1)
        both_P2 = np.stack([mean_P, prediction.mean_N[scored]], axis=1)
        if not len(both_P2):
            return
        levels_2 = both_P2[0] if self._levels_2 is None else self._levels_2
        rows = []
        for both_2, flips, count in zip(both_P2, flips_P, count_P, strict=True):
            m, v = both_2 - levels_2
            rows.append(((m - v) ** 2, m**2, flips, flips / count))
            levels_2 = MEMORY * levels_2 + (1 - MEMORY) * both_2
        self._levels_2 = levels_2
        self._recent_K4 = np.concatenate([self._recent_K4, np.reshape(rows, (-1, 4))])[-WINDOW:]

    @property
    def skill(self) -> float | None:
        """None where too few groups were seen, or where there is nothing to predict."""
        num = len(self._recent_K4)
        if num < LEAST:
            return None
        error, beside, flips, noise = self._recent_K4.T
        differing = beside - noise
        least = max(LEAST_SPREAD * flips.mean(), 2 * differing.std() / np.sqrt(num))
        return None if differing.mean() <= least else float(1 - error.sum() / beside.sum())

    def finish(self) -> None:
        """Ends a step."""
        self._num_steps += 1
        skill = self.skill
        if self.steps == 0 or self._num_steps < self.steps:
            return
        before, self.active = self.active, skill is not None and skill < LEAST_SKILL
        if self.active and not before:
            logger.warning(
                "the value model was no better than the mean on %d groups that it did not choose (skill "
                "%.2f): prompts are taken in the stream's order until it is. Try other value_features; "
                "fallback_steps=0 keeps its choice",
                len(self._recent_K4),
                skill,
            )
        elif before and not self.active:
            logger.warning("the value model is better than the mean again, or all is alike: it chooses")

    def metrics(self) -> dict[str, float]:
        """Whether it is set aside, and its skill where it can be told."""
        if self.steps == 0:
            return {}
        skill = self.skill
        told = {} if skill is None else {"value_model/skill": skill}
        return {"guards/value_model": float(self.active), **told}

    def state_dict(self) -> dict[str, Any]:
        return {
            "active": self.active,
            "num_steps": self._num_steps,
            "levels_2": self._levels_2,
            "recent_K4": self._recent_K4.copy(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.active, self._num_steps = state["active"], state["num_steps"]
        self._levels_2 = None if state["levels_2"] is None else np.array(state["levels_2"])
        self._recent_K4 = np.array(state["recent_K4"])
