"""Categories in proportion to how often the policy still fails in them (after STAT-Sel, arXiv 2510.10023).

    q(c) proportional to f(c) * d(c),  d(c) = (difficult groups of c + 1) / (groups of c + 1)

f(c) is the category's share of the pool, and a group is difficult where its mean is at most `unsolved`: q is
the profile of failures that questions asked in the pool's proportions would leave. The paper finds difficult
questions by a process reward model (mean step reward <= 0.85), has a teacher name the 2 or 3 skills that each
failed answer lacked, and builds one training set from that profile. Here a prompt has one category in
place of several skills, the outcome stands for the process reward, the profile follows the policy during
training (old groups fade by `decay`), and there is no teacher. The added one keeps every category alive.
"""

from typing import ClassVar

import numpy as np

from rlkit.curriculum.estimators.categories import Categories
from rlkit.curriculum.scale import Scale
from rlkit.types import Groups, Prediction

ROUNDING = 1e-9


class MissingSkills(Categories):
    """Counts of difficult groups by category.

    Args:
        unsolved: greatest mean signal of a difficult group, as a share of the range.
        decay: weight of the past counts at each round.
        scale: the signal's range.
    """

    name = "stat_sel"
    initial: ClassVar = {"difficult": 0.0, "groups": 0.0}

    def __init__(self, *, unsolved: float = 0.85, decay: float = 0.99, scale: Scale | None = None):
        self.unsolved, self.decay, self.scale = unsolved, decay, scale or Scale()

    def distribution(self) -> np.ndarray:
        profile_C = self.share_C * (self.kept["difficult"] + 1) / (self.kept["groups"] + 1)
        return profile_C / profile_C.sum()

    def observe(self, groups: Groups, prediction: Prediction) -> None:
        scored = groups.count_P > 0
        index = groups.index_P[scored]
        difficult = self.scale.share(groups.mean_P[scored]) <= self.unsolved + ROUNDING
        for key, value_P in (("difficult", difficult), ("groups", np.ones(len(index)))):
            self.kept[key] = self.decay * self.kept[key] + self.totals(index, value_P)
