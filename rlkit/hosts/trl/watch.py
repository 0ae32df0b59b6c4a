"""Watches a trainer's steps: the guards' warnings, and the end of a run that nobody can grade any more."""

from collections import Counter
from typing import Any

import numpy as np
from transformers import TrainerCallback

from rlkit.hosts.trl.reward_kinds import reward_watch
from rlkit.hosts.trl.step_record import PREFIX
from rlkit.prompts.pool import PromptPool
from rlkit.record.account import weighted_mean
from rlkit.record.episodes import Episodes
from rlkit.record.guards import Guards
from rlkit.types import Batch

CLIPPED = "completions/clipped_ratio"
FROM_TRL = ("entropy", CLIPPED)
"""TRL's metrics that the guards look at, beside ours and the rewards'."""


class NothingGradedError(RuntimeError):
    """No completion could be graded for `max_ungraded_steps` steps. A checkpoint was saved."""


class Watch(TrainerCallback):
    """Called before the step's line is written, so that the guards are in it.

    Steps without a graded completion are counted from 0 again when a run resumes: else one that was stopped
    for them would stop at its first failure. Steps that update on an earlier generation do not count.
    """

    def __init__(self, trainer: Any):
        self.trainer = trainer
        self.limit: int = trainer.curriculum.safety.max_ungraded_steps
        in_use = {trainer.curriculum.name, *(["beta"] if trainer.beta else [])}
        rewards = reward_watch(trainer)
        guards = Guards(_category_counts(trainer.pool), in_use, rewards)
        self.guards = guards if trainer.curriculum.safety.guards else None
        self._from_trl = (*FROM_TRL, *([] if rewards is None else rewards.columns))
        self._num_ungraded = 0
        self._episodes = Episodes()
        self._graded: bool | None = None
        """Whether anything was graded in the step under way; None where nothing was rolled out."""
        self._num_seen: dict[str, int] = {}

    @property
    def stopped(self) -> bool:
        return self._num_ungraded >= self.limit

    def is_news(self, sign: str) -> bool:
        """Whether a warning of this sign is to be given at this step: the last one had ended."""
        return self._episodes.is_news(sign, self.trainer.state.global_step)

    def collected(self, batch: Batch) -> None:
        """Takes in a generation."""
        rewards = batch.groups.reward_PG[batch.groups.age_PG == 0]
        if len(rewards):
            self._graded = bool(self._graded) or not np.isnan(rewards).all()
        if self.guards is not None and "category" in self.trainer.pool.column_names:
            rows = self.trainer.pool.take(batch.groups.index_P)
            self.guards.rolled_out([str(row["category"]) for row in rows], batch.groups.signal_PG)

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        logged = self.trainer._metrics["train"]
        self._num_seen = {name: len(logged.get(name, ())) for name in self._from_trl}
        self.trainer.host.round_sizes.clear()
        self._graded = None

    def _of_trl(self) -> dict[str, float]:
        """TRL's metrics over the step: the mean over micro-batches, or over rounds by their completions."""
        logged, sizes = self.trainer._metrics["train"], self.trainer.host.round_sizes
        means = {}
        for name, before in self._num_seen.items():
            values = logged.get(name, [])[before:]
            of_rounds = name == CLIPPED and len(values) == len(sizes)
            if values:
                means[name] = weighted_mean(values, sizes if of_rounds else [1] * len(values))
        return means

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        trainer = self.trainer
        if self._graded is not None:
            self._num_ungraded = 0 if self._graded else self._num_ungraded + 1
        if self.stopped:
            control.should_training_stop = True
            control.should_save = True
        if self.guards is None:
            return
        of_trl = self._of_trl()
        alarms = self.guards.observe({**trainer.record.row, **of_trl})
        trainer.record.note({**of_trl, **alarms})
        for name, value in alarms.items():
            trainer._metrics["train"][f"{PREFIX}{name}"].append(value)

    def check(self) -> None:
        """Raises NothingGradedError where that has stopped the run."""
        if self.stopped:
            step = self.trainer.state.global_step
            raise NothingGradedError(
                f"stopped after step {step}: no completion could be graded for {self.limit} steps "
                f"(max_ungraded_steps); the last failure: {self.trainer.last_failure!r}. "
                f"checkpoint-{step} is saved: mend the reward and go on with --resume auto, or with a "
                "checkpoint from before it failed"
            )

    def state_dict(self) -> dict[str, Any]:
        return {} if self.guards is None else self.guards.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if self.guards is not None and state:
            self.guards.load_state_dict(state)


def _category_counts(pool: PromptPool) -> dict[str, int]:
    values = pool.column("category")
    return {} if values is None else dict(Counter(map(str, values.tolist())))
