"""Resuming a run that was finished already: the Trainer's loop would take one step more."""

from typing import Any

from transformers import TrainerCallback


class RunFinishedError(Exception):
    """All steps are done, or the budget is spent, before the first step of this call."""


class Finished(TrainerCallback):
    """Ends such a run before its first step, when the checkpoint is loaded."""

    def __init__(self, trainer: Any):
        self.trainer = trainer
        self._is_first = True

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._is_first = True

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if not self._is_first:
            return
        self._is_first = False
        budget = self.trainer.curriculum.budget
        spent = budget is not None and budget.is_spent(self.trainer.record.totals)
        if spent or state.global_step >= state.max_steps:
            if state.is_world_process_zero:
                print(f"rlkit: step {state.global_step} is the last of this run: nothing to do", flush=True)
            raise RunFinishedError
