"""The composition: an estimator, the sources of a step's groups, and what to do where they do not suffice."""

import logging
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from rlkit.curriculum.calibration import Calibration
from rlkit.curriculum.estimators import Estimator, Senses
from rlkit.curriculum.hints.hints import Hints
from rlkit.curriculum.signal_range import UNCHECKED, SignalRange
from rlkit.curriculum.sources.rounds import Rounds
from rlkit.curriculum.sources.shelf import Shelf
from rlkit.curriculum.sources.source import Source
from rlkit.prompts.pool import PromptPool
from rlkit.settings.budget import Budget
from rlkit.settings.config import CurriculumConfig
from rlkit.settings.keeping import KeepingConfig
from rlkit.settings.safety import SafetyConfig
from rlkit.types import Batch, Groups, Prediction

logger = logging.getLogger(__name__)

Fill = Literal["top_up", "shrink", "error"]


class Curriculum:
    """Chooses prompts, and learns from every graded group.

    Args:
        estimator: predicts each candidate's mean and variance.
        sources: where a step's groups come from, in the order in which they fill the batch; by default one
            round of the stream's prompts.
        fill: what happens where they do not fill it: "top_up" with the best dropped groups, "shrink" the
            batch, or an "error".
        numbers: the preset's other settings, told apart on resume.
        seed: of the candidate stream and of the selectors' randomness.
        name: shown in logs, and compared on resume.
        signal: the reward function whose values the curriculum looks at; None for the weighted total.
        budget: the host ends the run when it is spent.
        safety: what the run does about faults.
        keeping: which completions the run writes down.
        signal_range: the declared range, and what is done where the signal leaves it; None for no range.
        preset: the settings and the truth that it was built from; None where it was put together by hand.
        hints: how much of their solutions is revealed to the chosen prompts; None for nothing.
    """

    def __init__(
        self,
        estimator: Estimator,
        sources: Sequence[Source] | None = None,
        *,
        fill: Fill = "top_up",
        numbers: dict[str, Any] | None = None,
        seed: int = 0,
        name: str = "custom",
        signal: str | None = None,
        budget: Budget | None = None,
        safety: SafetyConfig | None = None,
        keeping: KeepingConfig | None = None,
        signal_range: SignalRange | None = None,
        preset: tuple[CurriculumConfig, Any] | None = None,
        hints: Hints | None = None,
    ):
        self.estimator, self.fill, self.hints = estimator, fill, hints
        self.sources = [Rounds()] if sources is None else list(sources)
        self.seed, self.name, self.signal, self.budget = seed, name, signal, budget
        self.safety, self.keeping = safety or SafetyConfig(), keeping or KeepingConfig()
        self.calibration = Calibration()
        self.step = 0
        self.rng = np.random.default_rng(seed)
        self.signal_range = signal_range or SignalRange(UNCHECKED, False, name)
        self.preset = preset
        self._preset_numbers = numbers or {}
        self._is_bound = False

    def bind(self, pool: PromptPool, senses: Senses, num_groups: int, group_size: int = 8) -> None:
        """Takes up the pool of a run whose batches hold `num_groups` groups of `group_size` completions.

        Called once in its life, before step 0. The default size is TRL's.

        Raises:
            ValueError: it was bound before, the pool is smaller than one batch, or the estimator or a source
                lacks something that it needs.
        """
        if self._is_bound:
            raise ValueError(
                f"this Curriculum (curriculum={self.name!r}) was bound to a pool before, and holds what it "
                "learned there; make another for each trainer or simulation: build_curriculum(...), or pass "
                "the preset's name or a CurriculumConfig, of which each trainer makes its own"
            )
        if len(pool) < num_groups:
            raise ValueError(
                f"the pool has {len(pool)} prompts, fewer than the {num_groups} of one batch "
                "(generation_batch_size / num_generations); add prompts or make the batch smaller"
            )
        self._is_bound, self.pool, self.senses = True, pool, senses
        self.num_groups, self.group_size = num_groups, group_size
        self.estimator.bind(pool, senses)
        if self.hints is not None:
            self.hints.bind(pool)
        pool.prepare()
        for source in self.sources:
            source.bind(self, num_groups)

    @property
    def shelf(self) -> Shelf | None:
        """The groups that are kept for later steps, if any source keeps some."""
        return next((source.shelf for source in self.sources if source.shelf is not None), None)

    @property
    def objectives(self) -> tuple[str, ...]:
        """Names of what the policy's update has to learn for the estimator."""
        return getattr(self.estimator, "objectives", ())

    @property
    def equal_groups(self) -> bool:
        """All groups of a batch have as many completions."""
        return all(source.equal_groups for source in self.sources)

    def learn(self, groups: Groups, prediction: Prediction) -> None:
        """Graded groups teach the estimator, whatever becomes of them; those with help teach the hints alone.

        Raises:
            ValueError: the preset depends on the signal's range, and the run's first signals leave it.
        """
        groups = self.signal_range.checked(groups, self.step)
        self.pool.observe(groups.index_P, self.step)
        self.calibration.observe(prediction, groups)
        if self.hints is not None:
            self.hints.observe(groups)
            unaided = np.flatnonzero(groups.share_P == 0)
            groups, prediction = groups.take(unaided), prediction.take(unaided)
        if len(groups):
            self.estimator.observe(groups, prediction)

    def finish(self, batch: Batch) -> None:
        """Ends the step."""
        for source in self.sources:
            source.finish(batch)
        if self.hints is not None:
            self.hints.finish(batch)
        self.step += 1

    def numbers(self) -> dict[str, Any]:
        """The settings that are told apart on resume."""
        numbers = {**self._preset_numbers, "fill": self.fill}
        for source in self.sources:
            numbers |= source.numbers()
        return numbers

    def metrics(self) -> dict[str, float]:
        """Of the pool, the sources, the predictions and the estimator."""
        metrics = {**self.pool.metrics(), **self.signal_range.metrics(), **self.calibration.metrics()}
        metrics |= self.estimator.metrics()
        metrics |= {} if self.hints is None else self.hints.metrics()
        for source in self.sources:
            metrics |= source.metrics()
        return metrics

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next decision depends on."""
        return {
            "name": self.name,
            "numbers": self.numbers(),
            "step": self.step,
            "rng": self.rng.bit_generator.state,
            "pool": self.pool.state_dict(),
            "signal_range": self.signal_range.state_dict(),
            "calibration": self.calibration.state_dict(),
            "estimator": self.estimator.state_dict(),
            "sources": [source.state_dict() for source in self.sources],
            **({} if self.hints is None else {"hints": self.hints.state_dict()}),
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
            f"{name} {old} -> {self.numbers()[name]}"
            for name, old in state["numbers"].items()
            if name in self.numbers() and old != self.numbers()[name]
        ]
        if changed:
            logger.warning("resuming with other numbers than the checkpoint's: %s", ", ".join(changed))
        self.pool.load_state_dict(state["pool"], allow_changed_data)
        self.step = state["step"]
        self.rng.bit_generator.state = state["rng"]
        self.signal_range.load_state_dict(state["signal_range"])
        self.calibration.load_state_dict(state["calibration"])
        self.estimator.load_state_dict(state["estimator"])
        # One without a state may have come or gone with a number.
        keeping = (source for source in self.sources if source.state_dict())
        for source, own in zip(keeping, filter(None, state["sources"]), strict=True):
            source.load_state_dict(own)
        if self.hints is not None and "hints" in state:  # a run may go on with hints where it had none
            self.hints.load_state_dict(state["hints"])
