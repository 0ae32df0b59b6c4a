"""The composition: one estimator, one selector, one filter, and what to do when a batch cannot be filled."""

import logging
import math
import time
from typing import Any, Literal

import numpy as np

from rlkit.budget import Budget
from rlkit.curriculum.calibration import Calibration
from rlkit.curriculum.estimators import Estimator, Senses
from rlkit.curriculum.filters import KEPT, Filter
from rlkit.curriculum.selectors import Selector
from rlkit.pool import Admission, PromptPool
from rlkit.types import Groups, Proposal

logger = logging.getLogger(__name__)

KEEP_RATE_MEMORY = 0.8
"""Weight of the past in the running keep rate, which sizes the rounds of a filtered step."""

Fill = Literal["top_up", "shrink", "error"]


class Curriculum:
    """Chooses prompts, learns from every graded group, and says which groups are worth training on.

    Args:
        estimator: predicts each candidate's mean and variance.
        selector: predictions -> positions of the candidates to roll out.
        filter: graded groups -> "kept" or a drop reason each.
        candidates: candidates scored for each prompt rolled out (the k of PCL's k*m).
        max_rounds: rounds of rollouts before a step stops refilling.
        fill: what then happens: "top_up" with the best dropped groups, "shrink" the batch, or an "error".
        admission: the probability that a prompt becomes a candidate when the stream reaches it, usually a
            method of the estimator; None admits all.
        oversample: prompts that a round may roll out at most, as a multiple of the batch; the first round of
            a run does.
        warmup_filter, warmup_filter_steps: the filter of the first steps of a run, and how many those are.
        numbers: the preset's other settings, told apart on resume.
        seed: of the candidate stream and of the selector's randomness.
        name: shown in logs, and compared on resume.
        signal: the reward function whose values the curriculum looks at; None for the weighted total.
        budget: the host ends the run when it is spent.
    """

    def __init__(
        self,
        estimator: Estimator,
        selector: Selector,
        filter: Filter,
        *,
        candidates: int = 1,
        max_rounds: int = 1,
        fill: Fill = "top_up",
        admission: Admission | None = None,
        oversample: float = 1.0,
        warmup_filter: Filter | None = None,
        warmup_filter_steps: int = 0,
        numbers: dict[str, Any] | None = None,
        seed: int = 0,
        name: str = "custom",
        signal: str | None = None,
        budget: Budget | None = None,
    ):
        self.estimator, self.selector, self.filter = estimator, selector, filter
        self.candidates, self.max_rounds, self.fill = candidates, max_rounds, fill
        self.admission, self.oversample = admission, oversample
        self.warmup_filter, self.warmup_filter_steps = warmup_filter, warmup_filter_steps
        self.seed, self.name, self.signal = seed, name, signal
        self.budget = budget
        self.calibration = Calibration()
        self.step = 0
        self._preset_numbers = numbers or {}
        self._rng = np.random.default_rng(seed)
        self._keep_rate = 1.0 / oversample
        self._admitted = {"admitted": 0, "passed_over": 0, "forced": 0}

    def bind(self, pool: PromptPool, senses: Senses, num_groups: int) -> None:
        """Takes up the pool of a run whose batches hold `num_groups` prompts. Called once, before step 0.

        Raises:
            ValueError: the pool, or what the preset admits of it, is smaller than one batch, or the estimator
                lacks something that it needs.
        """
        if len(pool) < num_groups:
            raise ValueError(
                f"the pool has {len(pool)} prompts, fewer than the {num_groups} of one batch "
                "(generation_batch_size / num_generations); add prompts or make the batch smaller"
            )
        if self.candidates * num_groups > len(pool):
            clamped = len(pool) // num_groups
            logger.warning(
                "candidates (%d) times the %d prompts of a batch is more than the pool's %d prompts; "
                "candidates is clamped to %d",
                self.candidates,
                num_groups,
                len(pool),
                clamped,
            )
            self.candidates = clamped
        self.pool = pool
        self.estimator.bind(pool, senses)
        if self.admission is None:
            return
        num_admissible = int(np.count_nonzero(self.admission(np.arange(len(pool)))))
        if num_admissible < num_groups:
            raise ValueError(
                f"curriculum={self.name!r} admits {num_admissible} of the pool's {len(pool)} prompts, fewer "
                f"than the {num_groups} of one batch (generation_batch_size / num_generations); add prompts, "
                "widen what it admits, or make the batch smaller"
            )

    def propose(self, num: int, exclude: np.ndarray) -> Proposal:
        """Scores the next candidates of the stream, outside of `exclude`, and chooses `num` of them."""
        start = time.perf_counter()
        candidate_N = self._candidates(num, exclude)
        prediction = self.estimator.predict(candidate_N)
        chosen = self.selector(prediction, num, self._rng)
        return Proposal(
            candidate_N[chosen], prediction.take(chosen), len(candidate_N), time.perf_counter() - start
        )

    def _candidates(self, num: int, exclude: np.ndarray) -> np.ndarray:
        """The next prompts of the stream that are admitted, `candidates` for each of `num` places.

        Where there are fewer than `num`, the least bad of the others: the most probable to be admitted, and
        of equals the one with the most variance predicted.
        """
        wanted = self.candidates * num
        if self.admission is None:
            return self.pool.draw(wanted, exclude)
        index_N, others, probability = self.pool.draw_admitted(wanted, exclude, self.admission, self._rng)
        forced = others[:0]
        if len(index_N) < num and len(others):
            order = np.lexsort((-self.estimator.predict(others).variance_N, -probability))
            forced = others[order[: num - len(index_N)]]
        self._admitted["admitted"] += len(index_N)
        self._admitted["passed_over"] += len(others) - len(forced)
        self._admitted["forced"] += len(forced)
        return np.concatenate([index_N, forced])

    def observe(self, groups: Groups, proposal: Proposal) -> np.ndarray:
        """Every graded group teaches the estimator, kept or not. Returns "kept" or a drop reason for each."""
        self.pool.observe(groups.index_P, self.step)
        self.calibration.observe(proposal.prediction, groups)
        self.estimator.observe(groups, proposal.prediction)
        early = self.warmup_filter is not None and self.step < self.warmup_filter_steps
        reason_P = self.warmup_filter(groups) if early else self.filter(groups)  # type: ignore[misc]
        if len(groups):
            kept = float(np.mean(reason_P == KEPT))
            self._keep_rate = KEEP_RATE_MEMORY * self._keep_rate + (1 - KEEP_RATE_MEMORY) * kept
        return reason_P

    def round_size(self, missing: int, num_groups: int) -> int:
        """Prompts to roll out for about `missing` survivors of the filter, `oversample` batches at most."""
        most = math.ceil(self.oversample * num_groups)
        return min(most, math.ceil(missing / max(self._keep_rate, 0.1)))

    def _numbers(self) -> dict[str, Any]:
        own = {"candidates": self.candidates, "max_rounds": self.max_rounds, "fill": self.fill}
        return {**self._preset_numbers, **own}

    def metrics(self) -> dict[str, float]:
        """Of the pool, the predictions and the estimator; with an admission rule also its running totals."""
        admission = self._admitted if self.admission is not None else {}
        return {
            **self.pool.metrics(),
            **{f"admission/{name}": float(value) for name, value in admission.items()},
            **self.calibration.metrics(),
            **self.estimator.metrics(),
        }

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next decision depends on."""
        return {
            "name": self.name,
            "numbers": self._numbers(),
            "step": self.step,
            "keep_rate": self._keep_rate,
            "admission": dict(self._admitted),
            "rng": self._rng.bit_generator.state,
            "pool": self.pool.state_dict(),
            "calibration": self.calibration.state_dict(),
            "estimator": self.estimator.state_dict(),
        }

    def check_state(self, state: dict[str, Any], allow_changed_data: bool = False) -> None:
        """Raises ValueError where the checkpoint is of another preset or of other data: what differs."""
        if state["name"] != self.name:
            raise ValueError(
                f"the checkpoint was made with curriculum={state['name']!r}, this run asks for "
                f"{self.name!r}; resume with the checkpoint's, or start a new run from its weights "
                "(model_name_or_path)"
            )
        self.pool.check_state(state["pool"], allow_changed_data)

    def load_state_dict(self, state: dict[str, Any], allow_changed_data: bool = False) -> None:
        """Restores what `state_dict` gave; raises as `check_state` does."""
        self.check_state(state, allow_changed_data)
        changed = [
            f"{name} {old} -> {self._numbers()[name]}"
            for name, old in state["numbers"].items()
            if name in self._numbers() and old != self._numbers()[name]
        ]
        if changed:
            logger.warning("resuming with other numbers than the checkpoint's: %s", ", ".join(changed))
        self.pool.load_state_dict(state["pool"], allow_changed_data)
        self.step, self._keep_rate = state["step"], state["keep_rate"]
        self._admitted = dict(state["admission"])
        self._rng.bit_generator.state = state["rng"]
        self.calibration.load_state_dict(state["calibration"])
        self.estimator.load_state_dict(state["estimator"])
