"""Help as part of the choice: which share of its solution each chosen prompt is rolled out with.

A rule proposes a share for each candidate, the selector sees the candidates as they would be with that help,
and the solutions of those chosen are examined before any of them is revealed. Estimators learn from unaided
groups only: a success with help is none of the prompt's own.
"""

from typing import Any, Literal

import numpy as np

from rlkit.curriculum.hints.effect import Effect
from rlkit.curriculum.hints.rule import Rule, below
from rlkit.curriculum.scale import Scale
from rlkit.prompts.pool import PromptPool
from rlkit.prompts.solutions import Solutions
from rlkit.types import Batch, Groups, Prediction

Place = Literal["prefix", "prompt"]
SOLVED = 0.5
"""A prompt is solved when a completion earns more than this share of the signal's range (ours)."""

MARGIN = 3.0
"""What help must gain to be preferred to other prompts (ours). It is the least certain of predictions, and
those that are too high are chosen: at 1 it cost `rlkit` and `pcl` a quarter of their gain on a hard pool."""


class Hints:
    """A rule, and what it works with.

    Args:
        rule: how much to reveal.
        scale: the signal's range.
        column: of the solutions; None for `solution` or `demonstration`.
        place: "prefix", the beginning of the assistant's turn, or "prompt", a paragraph of the user's turn.
        loss: whether revealed tokens train.
    """

    def __init__(
        self,
        rule: Rule,
        *,
        scale: Scale,
        column: str | None = None,
        place: Place = "prefix",
        loss: bool = False,
    ):
        self.rule, self.scale, self.column, self.place, self.loss = rule, scale, column, place, loss
        self.effect = Effect(scale)
        self._step: dict[str, float] = {}

    def bind(self, pool: PromptPool) -> None:
        """Raises ValueError where the data has no solutions."""
        self.pool = pool
        self.solutions = Solutions(pool, self.column)
        self.effect.bind(pool)
        self.rule.bind(pool, self.effect)
        self._solved_N = np.zeros((2, len(pool)), dtype=bool)  # unaided, with help
        self._before_N = self._solved_N[0].copy()  # unaided, before this step

    def offer(
        self, index_N: np.ndarray, unaided: Prediction, rng: np.random.Generator, chosen: bool = False
    ) -> tuple[np.ndarray, Prediction]:
        """A share for each candidate, (N,), and what the selector is to see of them with that help.

        Of an unaided prompt that is what the estimator says. `chosen` says that there are more candidates
        than places: then a rule with a price helps only where the variance grows `MARGIN` times.
        """
        logit_N, _ = self.effect.unaided(index_N, unaided)
        share_N = self.rule.choose(index_N, self.solutions.shares(index_N), logit_N, rng)
        helped = self._priced(self.effect.prediction(index_N, share_N, unaided), share_N)
        if chosen and self.rule.price > 0:
            plain = self.effect.prediction(index_N, np.zeros(len(index_N)), unaided)
            share_N = np.where(helped.variance_N >= MARGIN * plain.variance_N, share_N, 0.0)
        return share_N, _where(share_N > 0, helped, unaided)

    def settle(
        self, index_P: np.ndarray, share_P: np.ndarray, unaided: Prediction
    ) -> tuple[np.ndarray, Prediction]:
        """The shares that may be revealed, none above the one offered, and what is predicted of them.

        Of an unaided prompt that is what the estimator says.
        """
        share_P, wanted = share_P.copy(), np.flatnonzero(share_P > 0)
        allowed = self.solutions.examined(index_P[wanted])
        share_P[wanted] = [
            below(shares, share) for shares, share in zip(allowed, share_P[wanted], strict=True)
        ]
        helped = self.effect.prediction(index_P, share_P, unaided)
        self.effect.expect(index_P, unaided)
        return share_P, _where(share_P > 0, helped, unaided)

    def _priced(self, helped: Prediction, share_N: np.ndarray) -> Prediction:
        """The variance with the price taken off, and the mean above one half that goes with it.

        So a selector takes it for an easier prompt, of which less is to be learned, by whatever it looks at.
        """
        left_N = 1 - self.rule.price * share_N
        mean_N = self.scale.share(helped.mean_N)
        easier_N = (1 + np.sqrt(1 - 4 * mean_N * (1 - mean_N) * left_N)) / 2
        value_N = self.scale.low + (self.scale.high - self.scale.low) * easier_N
        seen_N = np.where(left_N < 1, value_N, helped.mean_N)
        return Prediction(seen_N, helped.variance_N * left_N, helped.error_N, helped.length_N)

    def observe(self, groups: Groups) -> None:
        """Every graded group teaches, with help and without."""
        self.effect.observe(groups)
        self.rule.observe(groups)
        best_P = np.nan_to_num(groups.signal_PG, nan=-np.inf).max(axis=1)
        solved = best_P > self.scale.value(SOLVED)
        for helped in (0, 1):
            self._solved_N[helped, groups.index_P[solved & ((groups.share_P > 0) == helped)]] = True

    def finish(self, batch: Batch) -> None:
        """Takes the step's account: what was revealed, and what came of it."""
        groups, trained_P = batch.groups, batch.trained_P
        helped_P = groups.share_P > 0
        unsolved_P = trained_P & ~self._before_N[groups.index_P]
        self._step = {
            "hints/share": _mean(groups.share_P[trained_P]),
            "hints/helped": _mean(helped_P[trained_P]),
            "signal/helped": _mean(groups.mean_P[helped_P]),
            "signal/unaided": _mean(groups.mean_P[~helped_P]),
            "hints/effective_ratio_unsolved": _mean(groups.informative_P[unsolved_P]),
        }
        self._before_N = self._solved_N[0].copy()

    def metrics(self) -> dict[str, float]:
        """Of the step; of the pool, the shares of prompts ever solved unaided, and only with help."""
        unaided_N, helped_N = self._solved_N
        return {
            **self._step,
            "hints/solved_unaided": float(unaided_N.mean()),
            "hints/solved_only_helped": float((helped_N & ~unaided_N).mean()),
            **self.effect.metrics(),
            **self.rule.metrics(),
            **self.solutions.metrics(),
        }

    def state_dict(self) -> dict[str, Any]:
        return {
            "effect": self.effect.state_dict(),
            "rule": self.rule.state_dict(),
            "solutions": self.solutions.state_dict(),
            "unaided_N": self._solved_N[0],
            "helped_N": self._solved_N[1],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.effect.load_state_dict(state["effect"])
        self.rule.load_state_dict(state["rule"])
        self.solutions.load_state_dict(state["solutions"])
        self._solved_N = np.stack(
            [self.pool.carried(state[f"{name}_N"], 0) for name in ("unaided", "helped")]
        )
        self._before_N = self._solved_N[0].copy()


def _where(first_P: np.ndarray, one: Prediction, other: Prediction) -> Prediction:
    return Prediction(
        np.where(first_P, one.mean_N, other.mean_N),
        np.where(first_P, one.variance_N, other.variance_N),
        np.where(first_P, one.error_N, other.error_N),
        other.length_N,
    )


def _mean(value_P: np.ndarray) -> float:
    """Without NaNs; NaN where there is nothing else."""
    known_P = value_P[~np.isnan(value_P.astype(float))]
    return float(known_P.mean()) if len(known_P) else float("nan")
