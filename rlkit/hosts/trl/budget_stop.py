"""Stops a Trainer when its run's budget is spent, and the order of all our callbacks."""

from typing import Any

from accelerate.utils import broadcast_object_list
from transformers import IntervalStrategy, TrainerCallback

from rlkit.hosts.trl.step_record import StepRecord
from rlkit.settings.budget import Budget


class BudgetStop(TrainerCallback):
    """Ends the training after the step that spends the budget, evaluated (where the run evaluates) and saved.

    The checkpoint is what a run with a larger budget goes on from. It reads the totals of `record`, which
    must be called before it. Processes measure different seconds, so the main one decides.
    """

    def __init__(self, record: StepRecord, budget: Budget, num_processes: int):
        self.record, self.budget, self.num_processes = record, budget, num_processes

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        stop = self.budget.is_spent(self.record.totals)
        if self.num_processes > 1:
            stop = broadcast_object_list([stop])[0]
        if stop:
            control.should_training_stop = True
            control.should_save = True
            control.should_evaluate = args.eval_strategy != IntervalStrategy.NO


def add_callbacks(trainer: Any, first: list[Any]) -> None:
    """`first` and a budget's stop before all others, so that what these take is not counted as the step's."""
    if trainer.curriculum.budget is not None:
        budget, num_processes = trainer.curriculum.budget, trainer.accelerator.num_processes
        first = [*first, BudgetStop(trainer.record, budget, num_processes)]
    trainer.callback_handler.callbacks[:0] = first
    trainer.add_callback(trainer.preemption)
