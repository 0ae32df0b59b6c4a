"""Prompts whose last groups had no variance are skipped at random (GRESO, arXiv 2506.02177).

    skip probability = 1 - max(p^z, floor)

z counts a prompt's latest groups in a row that were all easy (mean >= mastered) or all hard (mean <=
unsolved); each kind has its own p. Once the first pass over the pool is over, each p moves by `step` after a
training step: down, so that more is skipped, where the share of the step's groups of that kind was at least
its target, else up. Constants are the released code's. Left out: its margin of 1.25 and its least of 64
prompts in the size of a refill, for which this repository has one rule (`Curriculum.round_size`).
"""

from typing import Any

import numpy as np

from rlkit.curriculum.estimators import Senses
from rlkit.curriculum.estimators.neutral import Neutral
from rlkit.curriculum.scale import Scale
from rlkit.prompts.pool import PromptPool
from rlkit.types import Groups, Prediction

EASY_PART, HARD_PART = 1 / 3, 2 / 3
"""How the target splits into all-easy and all-hard groups."""
LEAST_P, MOST_P = 0.05, 0.95

EASY, HARD = 0, 1


class Skip(Neutral):
    """Trailing runs of zero-variance groups; predicts nothing.

    Args:
        base: p at the start, for both kinds.
        step: change of p after a training step.
        target: share of a step's groups that may have no variance.
        floor: least probability that a prompt is admitted.
        mastered, unsolved: least mean of an easy group and greatest of a hard one, as shares of the range.
        scale: the signal's range.
    """

    def __init__(
        self,
        *,
        base: float = 0.5,
        step: float = 0.01,
        target: float = 0.25,
        floor: float = 0.01,
        mastered: float = 0.98,
        unsolved: float = 0.11,
        scale: Scale | None = None,
    ):
        self.step, self.floor, self.mastered, self.unsolved = step, floor, mastered, unsolved
        self.scale = scale or Scale()
        self.target = np.array([EASY_PART, HARD_PART]) * target
        self.p = np.array([base, base])
        # What the step under way started from, and what came of it so far: a step may have several rounds.
        self._p_before, self._flat, self._num_graded, self._step = self.p, np.zeros(2), 0, -1

    def bind(self, pool: PromptPool, senses: Senses) -> None:
        self.pool = pool
        self.run_N = np.zeros(len(pool), dtype=np.int32)
        """Trailing easy groups, or minus the trailing hard ones."""

    def admission(self, index_N: np.ndarray) -> np.ndarray:
        run_N = self.run_N[index_N]
        p_N = np.where(run_N > 0, self.p[EASY], self.p[HARD])
        return np.maximum(p_N ** np.abs(run_N), self.floor)

    def observe(self, groups: Groups, prediction: Prediction) -> None:
        scored = groups.count_P > 0
        index, mean = groups.index_P[scored], self.scale.share(groups.mean_P[scored])
        run = self.run_N[index]
        easy, hard = mean >= self.mastered, mean <= self.unsolved
        self.run_N[index] = np.where(easy, np.maximum(run, 0) + 1, np.where(hard, np.minimum(run, 0) - 1, 0))
        self._adapt(np.array([easy.sum(), hard.sum()], dtype=float), len(index))

    def _adapt(self, flat: np.ndarray, num_graded: int) -> None:
        """Moves each p once a step, by all groups of the step so far."""
        if self.pool.step != self._step:
            self._step, self._p_before = self.pool.step, self.p
            self._flat, self._num_graded = np.zeros(2), 0
        self._flat, self._num_graded = self._flat + flat, self._num_graded + num_graded
        if self.pool.num_passes > 0 and self._num_graded > 0:
            too_many = self._flat / self._num_graded >= self.target
            moved = self._p_before + np.where(too_many, -self.step, self.step)
            self.p = np.clip(moved, LEAST_P, MOST_P)

    def state_dict(self) -> dict[str, Any]:
        return {
            "run_N": self.run_N,
            "p": self.p,
            "p_before": self._p_before,
            "flat": self._flat,
            "num_graded": self._num_graded,
            "step": self._step,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.run_N = self.pool.carried(state["run_N"], 0)
        self.p, self._p_before = np.array(state["p"]), np.array(state["p_before"])
        self._flat, self._num_graded = np.array(state["flat"]), state["num_graded"]
        self._step = state["step"]

    def metrics(self) -> dict[str, float]:
        share = self._flat / max(self._num_graded, 1)
        return {
            "skip/p_easy": float(self.p[EASY]),
            "skip/p_hard": float(self.p[HARD]),
            "skip/easy_share": float(share[EASY]),
            "skip/hard_share": float(share[HARD]),
        }
