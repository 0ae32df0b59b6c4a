"""The held-out accuracy of a recipe's run, on the steps at which it is measured."""

from collections.abc import Callable
from pathlib import Path

from transformers import TrainerCallback

from rlkit.record.ledger import StepLog


class HeldOutAccuracy(TrainerCallback):
    """Appends the exact held-out accuracy to `heldout.jsonl`: at start and end, and every few steps."""

    def __init__(self, measure: Callable[[], float], path: Path, every: int):
        self.measure, self.path, self.every = measure, path, every

    def on_train_begin(self, args, state, control, **kwargs) -> None:
        self.state = state
        self.log = StepLog(self.path, state.global_step if state.global_step else -1)
        if state.global_step == 0:
            self.log.write({"step": 0, "accuracy": self.measure()})

    def on_step_end(self, args, state, control, **kwargs) -> None:
        if state.global_step % self.every == 0 or control.should_training_stop:
            self.log.write({"step": state.global_step, "accuracy": self.measure()})

    def evaluate_now(self) -> None:
        self.log.write({"step": self.state.global_step, "accuracy": self.measure()})
