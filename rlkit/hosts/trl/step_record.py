"""A run's account under the Trainer: the ledger, a line of `metrics.jsonl` an optimizer step, totals."""

import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from rlkit.collect import NoLedger
from rlkit.prompts.pool import PromptPool
from rlkit.record.funnel import funnel
from rlkit.record.ledger import Ledger, StepLog
from rlkit.types import Batch

SUMMED = ("rollouts/spent", "rollouts/trained", "tokens/generated")
SPENT_IN_COLLECT = ("seconds/selection", "seconds/generation", "seconds/grading")


class StepRecord(TrainerCallback):
    """Times each optimizer step and writes its line. On processes beside the main one it keeps totals only.

    `seconds/update` is what a step took beside selection, generation and grading. Evaluation and saving lie
    between steps and are not counted, in `seconds/total` neither.
    """

    def __init__(self, output_dir: Path, is_main_process: bool):
        self.output_dir, self.is_main_process = output_dir, is_main_process
        self.totals: dict[str, float] = defaultdict(float)
        self.ledger: Ledger | NoLedger = NoLedger()
        self._log: StepLog | None = None
        self.row: dict[str, float] = {}
        """The line of the step under way, so far."""
        self._started = 0.0

    def open(self, pool: PromptPool, generation: int) -> None:
        """Opens the files; what a resumed run wrote after its checkpoint is dropped."""
        if self.is_main_process:
            self.ledger = Ledger(self.output_dir / "ledger", pool.key_N, generation)
            self._log = StepLog(self.output_dir / "metrics.jsonl", int(self.totals["step"]))

    def collected(self, batch: Batch, judgement_tokens: int = 0) -> dict[str, float]:
        """The generation's funnel and the totals so far; the tokens of judgements are tokens generated."""
        row = funnel(batch)
        row["tokens/generated"] += judgement_tokens
        for name in SUMMED:
            self.totals[f"{name}_total"] += row[name]
        return {**row, **{f"{name}_total": self.totals[f"{name}_total"] for name in SUMMED}}

    def add(self, row: dict[str, float]) -> None:
        """Adds a generation's numbers to the line of the step under way; seconds of several add up."""
        for name, value in row.items():
            self.row[name] = self.row.get(name, 0.0) + value if name in SPENT_IN_COLLECT else value

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._started = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        seconds = time.perf_counter() - self._started
        self.totals["seconds/total"] += seconds
        self.totals["step"] = state.global_step
        spent = sum(self.row.get(name, 0.0) for name in SPENT_IN_COLLECT)
        if self._log is not None:
            self._log.write(
                {
                    "step": state.global_step,
                    **self.row,
                    "seconds/update": seconds - spent,
                    "seconds/step": seconds,
                    "seconds/total": self.totals["seconds/total"],
                }
            )
        self.row = {}

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.flush()

    def flush(self) -> None:
        """Puts all groups and lines so far on the disk."""
        self.ledger.flush()
        if self._log is not None:
            self._log.sync()

    def state_dict(self) -> dict[str, float]:
        return dict(self.totals)

    def load_state_dict(self, state: dict[str, float]) -> None:
        self.totals = defaultdict(float, state)
