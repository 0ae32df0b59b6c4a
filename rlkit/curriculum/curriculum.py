"""The composition: one estimator, one selector, one filter, and what to do when a batch cannot be filled."""

import logging
import math
import time
from typing import Any, Literal

import numpy as np

from rlkit.curriculum.allocation import Allocation
from rlkit.curriculum.calibration import Calibration
from rlkit.curriculum.candidates import CandidateStream, Recall
from rlkit.curriculum.checks import check_admission, check_parts, check_pool, clamped_candidates
from rlkit.curriculum.estimators import Estimator, Senses
from rlkit.curriculum.exploration import Exploration
from rlkit.curriculum.fallback import Fallback
from rlkit.curriculum.filters import KEPT, REFERENCE, WAITING, Filter
from rlkit.curriculum.probe import Probe
from rlkit.curriculum.selectors import Selector, in_order
from rlkit.curriculum.shelf import Replay, Shelf, Waiting
from rlkit.curriculum.signal_range import UNCHECKED, SignalRange
from rlkit.prompts.pool import Admission, PromptPool
from rlkit.settings.budget import Budget
from rlkit.settings.safety import SafetyConfig
from rlkit.types import Batch, Groups, Prediction, Proposal

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
        probe: prompts to roll out now and then only to be looked at; None for none.
        warmup_filter, warmup_filter_steps: the filter of the first steps of a run, and how many those are.
        screen: completions that a prompt gets at first; only where these pass the filter it gets the rest of
            its group. None gives all at once.
        shelf: groups that are kept for later steps: `Waiting` ones of a screen, or `Replay`.
        recall: prompts that a refilling round takes before those of the stream.
        allocation: how a round's completions are shared out between its prompts; None gives all alike.
        numbers: the preset's other settings, told apart on resume.
        seed: of the candidate stream and of the selector's randomness.
        name: shown in logs, and compared on resume.
        signal: the reward function whose values the curriculum looks at; None for the weighted total.
        budget: the host ends the run when it is spent.
        safety: what the run does about faults; its `fallback_steps` count where `learned`.
        learned: the selector follows a value model, which may turn out no better than the mean.
        exploration: prompts of each round that are taken past the rule; None for none.
        signal_range: the declared range, and what is done where the signal leaves it; None for no range.
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
        probe: Probe | None = None,
        warmup_filter: Filter | None = None,
        warmup_filter_steps: int = 0,
        screen: int | None = None,
        shelf: Shelf | None = None,
        recall: Recall | None = None,
        allocation: Allocation | None = None,
        numbers: dict[str, Any] | None = None,
        seed: int = 0,
        name: str = "custom",
        signal: str | None = None,
        budget: Budget | None = None,
        safety: SafetyConfig | None = None,
        learned: bool = False,
        exploration: Exploration | None = None,
        signal_range: SignalRange | None = None,
    ):
        self.estimator, self.selector, self.filter = estimator, selector, filter
        self.candidates, self.max_rounds, self.fill = candidates, max_rounds, fill
        self.oversample, self.probe = oversample, probe
        self.warmup_filter, self.warmup_filter_steps = warmup_filter, warmup_filter_steps
        self.screen, self.shelf, self.allocation = screen, shelf, allocation
        self.seed, self.name, self.signal, self.budget = seed, name, signal, budget
        self.safety = safety or SafetyConfig()
        self.calibration = Calibration()
        self.fallback = Fallback(self.safety.fallback_steps if learned else 0)
        self.step = 0
        self._preset_numbers = numbers or {}
        self._rng = np.random.default_rng(seed)
        self._keep_rate = 1.0 / oversample
        self._stream = CandidateStream(admission, recall)
        self.exploration = exploration or Exploration()
        self.signal_range = signal_range or SignalRange(UNCHECKED, False, name)
        self.bound = False

    def bind(self, pool: PromptPool, senses: Senses, num_groups: int, group_size: int = 8) -> None:
        """Takes up the pool of a run whose batches hold `num_groups` groups of `group_size` completions.

        Called once in its life, before step 0. The default size is TRL's.

        Raises:
            ValueError: it was bound before, the pool, or what the preset admits of it, is smaller than one
                batch, a group is too small to be screened, or the estimator lacks something that it needs.
        """
        check_parts(self, group_size)
        check_pool(self, pool, num_groups)
        self.bound, self.group_size, self.pool = True, group_size, pool
        self.candidates = clamped_candidates(self.candidates, num_groups, len(pool))
        self._stream.bind(pool)
        self.exploration.bind(pool)
        if self.shelf is not None:
            self.shelf.bind(pool)
        self.estimator.bind(pool, senses)
        pool.prepare()
        check_admission(self.name, self._stream.num_admissible(), len(pool), num_groups)

    def propose(self, num: int, exclude: np.ndarray) -> Proposal:
        """Scores the next candidates of the stream, outside of `exclude`, and chooses `num` of them."""
        start = time.perf_counter()
        if isinstance(self.shelf, Waiting):
            exclude = np.union1d(exclude, self.shelf.index)
        explored = self.exploration.draw(num, exclude, self._rng)
        skipped = len(explored)
        rest = self._stream.draw(
            self.candidates * num - skipped,
            num - skipped,
            np.concatenate([exclude, explored]),
            lambda index_N: self.estimator.predict(index_N).variance_N,
            self._rng,
        )
        candidate_N = np.concatenate([explored, rest])
        if len(candidate_N) == 0:
            return Proposal(candidate_N, candidate_N, Prediction.neutral(0), 0, time.perf_counter() - start)
        prediction = self.estimator.predict(candidate_N)
        selector = in_order if self.fallback.active else self.selector
        by_rule = prediction.take(np.arange(skipped, len(candidate_N)))
        chosen = np.concatenate([np.arange(skipped), skipped + selector(by_rule, num - skipped, self._rng)])
        prediction = prediction.take(chosen)
        counts, seconds = self._counts(prediction), time.perf_counter() - start
        return Proposal(candidate_N[chosen], counts, prediction, len(candidate_N), seconds)

    @property
    def first_count(self) -> int:
        """Completions that a prompt gets in an ordinary round, on average."""
        return self.group_size if self.screen is None else self.screen

    def _counts(self, prediction: Prediction) -> np.ndarray:
        num = len(prediction.mean_N)
        if self.allocation is not None:
            return self.allocation(prediction, num * self.group_size)
        return np.full(num, self.first_count)

    def started(self, num: int) -> Groups:
        """Up to `num` groups that wait for the rest of their completions, oldest first."""
        return self.shelf.oldest(num) if isinstance(self.shelf, Waiting) else Groups.empty()

    def rest(self, groups: Groups, num: int) -> tuple[np.ndarray, Proposal]:
        """Of screened groups `num` that pass the filter: their positions, and what they still lack."""
        promising = np.flatnonzero(self._filter(groups) == KEPT)[:num]
        missing_P = self.group_size - groups.size_P[promising]
        neutral = Prediction.neutral(len(promising))
        return promising, Proposal(groups.index_P[promising], missing_P, neutral, 0, 0.0)

    def replayed(self, num: int, exclude: np.ndarray) -> Groups:
        """Up to `num` groups of earlier steps to train on again."""
        return self.shelf.draw(num, exclude, self._rng) if isinstance(self.shelf, Replay) else Groups.empty()

    def observe(self, groups: Groups, proposal: Proposal) -> np.ndarray:
        """Every graded group teaches the estimator, kept or not. Returns "kept" or a drop reason for each.

        A group that waits for the rest of its completions teaches when it is whole.
        """
        reason_P = self._filter(groups)
        if self.screen is not None:
            reason_P[(reason_P == KEPT) & (groups.size_P < self.group_size)] = WAITING
        taught = np.flatnonzero(reason_P != WAITING)
        graded = self.signal_range.checked(groups.take(taught), self.step)
        prediction = proposal.prediction.take(taught)
        self.pool.observe(graded.index_P, self.step)
        self.calibration.observe(prediction, graded)
        self.estimator.observe(graded, prediction)
        # A round without candidates was screened in an earlier step, where it counted.
        if proposal.num_candidates and len(groups):
            passed = float(np.isin(reason_P, (KEPT, WAITING)).mean())
            self._keep_rate = KEEP_RATE_MEMORY * self._keep_rate + (1 - KEEP_RATE_MEMORY) * passed
        return reason_P

    def _filter(self, groups: Groups) -> np.ndarray:
        early = self.warmup_filter is not None and self.step < self.warmup_filter_steps
        return self.warmup_filter(groups) if early else self.filter(groups)  # type: ignore[misc]

    def finish(self, batch: Batch) -> None:
        """Ends the step: what the batch leaves for later steps goes onto the shelf."""
        if self.shelf is not None:
            self.shelf.store(batch)
        self.fallback.observe(self.calibration.explained_variance())
        self.step += 1

    def probe_size(self, num_groups: int) -> int:
        """Prompts to roll out at this step only to be looked at."""
        return 0 if self.probe is None else self.probe.size(self.step, num_groups)

    def propose_probe(self, num: int) -> Proposal:
        return self.probe.draw(num, self.pool, self.group_size, self._rng)  # type: ignore[union-attr]

    def observe_probe(self, groups: Groups) -> np.ndarray:
        """Shows a probe's groups to what asked for them alone. Returns "reference" for each."""
        self.pool.observe(groups.index_P, self.step)
        self.probe.learn(self.signal_range.checked(groups, self.step))  # type: ignore[union-attr]
        return np.full(len(groups), REFERENCE, dtype=object)

    def round_size(self, missing: int, num_groups: int) -> int:
        """Prompts to roll out for about `missing` survivors of the filter, `oversample` batches at most."""
        most = math.ceil(self.oversample * num_groups)
        return min(most, math.ceil(missing / max(self._keep_rate, 0.1)))

    def _numbers(self) -> dict[str, Any]:
        own = {"candidates": self.candidates, "max_rounds": self.max_rounds, "fill": self.fill}
        return {**self._preset_numbers, **own}

    def metrics(self) -> dict[str, float]:
        """Of the pool, its stream, the predictions and the estimator."""
        return {
            **self.pool.metrics(),
            **(self.shelf.metrics() if self.shelf is not None else {}),
            **self._stream.metrics(),
            **self.signal_range.metrics(),
            **self.calibration.metrics(),
            **self.fallback.metrics(),
            **self.estimator.metrics(),
        }

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next decision depends on."""
        return {
            "name": self.name,
            "numbers": self._numbers(),
            "step": self.step,
            "keep_rate": self._keep_rate,
            "stream": self._stream.state_dict(),
            "exploration": self.exploration.state_dict(),
            "signal_range": self.signal_range.state_dict(),
            "rng": self._rng.bit_generator.state,
            "pool": self.pool.state_dict(),
            "calibration": self.calibration.state_dict(),
            "fallback": self.fallback.state_dict(),
            "estimator": self.estimator.state_dict(),
            "shelf": self.shelf.state_dict() if self.shelf is not None else None,
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
        self._stream.load_state_dict(state["stream"])
        self.exploration.load_state_dict(state["exploration"])
        self.signal_range.load_state_dict(state["signal_range"])
        self._rng.bit_generator.state = state["rng"]
        self.calibration.load_state_dict(state["calibration"])
        self.fallback.load_state_dict(state["fallback"])
        self.estimator.load_state_dict(state["estimator"])
        if self.shelf is not None:
            self.shelf.load_state_dict(state["shelf"])
