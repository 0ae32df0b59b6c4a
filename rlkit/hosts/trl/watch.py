"""Watches a trainer's steps: the guards' warnings, and the end of a run that nobody can grade any more."""

from collections import Counter
from typing import Any

import numpy as np
from transformers import TrainerCallback

from rlkit.prompts.pool import PromptPool
from rlkit.record.episodes import Episodes
from rlkit.record.guards import Guards
from rlkit.types import Batch

FROM_TRL = ("entropy", "completions/clipped_ratio")
"""TRL's metrics that the guards look at, beside ours."""


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
        guards = Guards(_category_counts(trainer.pool), in_use)
        self.guards = guards if trainer.curriculum.safety.guards else None
        self._num_ungraded = 0
        self._episodes = Episodes()

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
            self._num_ungraded = self._num_ungraded + 1 if np.isnan(rewards).all() else 0
        if self.guards is not None and "category" in self.trainer.pool.column_names:
            rows = self.trainer.pool.take(batch.groups.index_P)
            self.guards.rolled_out([str(row["category"]) for row in rows], batch.groups.signal_PG)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        trainer = self.trainer
        if self.stopped:
            control.should_training_stop = True
            control.should_save = True
        if self.guards is None:
            return
        logged = trainer._metrics["train"]
        latest = {name: float(logged[name][-1]) for name in FROM_TRL if logged.get(name)}
        alarms = self.guards.observe({**trainer.record.row, **latest})
        trainer.record.add({**latest, **alarms})
        for name, value in alarms.items():
            logged[f"curriculum/{name}"].append(value)

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
