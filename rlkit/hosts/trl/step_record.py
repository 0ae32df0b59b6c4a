"""A run's account under the Trainer: the ledger, a line of `metrics.jsonl` an optimizer step, totals."""

import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import pyarrow as pa
from transformers import TrainerCallback

from rlkit.collect import NoLedger
from rlkit.prompts.pool import PromptPool
from rlkit.record.account import Account
from rlkit.record.completions import CompletionLog
from rlkit.record.funnel import funnel, weights
from rlkit.record.ledger import Ledger, StepLog
from rlkit.record.pool_table import write_pool
from rlkit.settings.keeping import KeepingConfig
from rlkit.types import Batch

TOTALS = ("rollouts/spent", "rollouts/trained", "tokens/generated")
SPENT_IN_COLLECT = ("seconds/selection", "seconds/generation", "seconds/grading")


PREFIX = "curriculum/"
"""Of our metrics among TRL's."""


class StepRecord(TrainerCallback):
    """Times each optimizer step and writes its line. On processes beside the main one it keeps totals only.

    `seconds/update` is what a step took beside selection, generation and grading. Evaluation and saving lie
    between steps and are not counted, in `seconds/total` neither.
    """

    columns: tuple[pa.Field, ...] = ()
    """Of the ledger, beside those of every host."""

    def __init__(self, output_dir: Path, is_main_process: bool):
        self.output_dir, self.is_main_process = output_dir, is_main_process
        self.totals: dict[str, float] = defaultdict(float)
        self.ledger: Ledger | NoLedger = NoLedger()
        self.completions: CompletionLog | None = None
        self._log: StepLog | None = None
        self._step = Account()
        self._since_log = Account()
        self._names: set[str] = set()
        self._started = 0.0

    @property
    def row(self) -> dict[str, float]:
        """The line of the step under way, so far."""
        return self._step.row

    @property
    def logged(self) -> dict[str, float]:
        """What goes to `report_to` beside TRL's metrics: the generations since the last log."""
        return {f"{PREFIX}{name}": float(value) for name, value in self._since_log.row.items()}

    def open(self, pool: PromptPool, generation: int, keeping: KeepingConfig) -> None:
        """Opens the files; what a resumed run wrote after its checkpoint is dropped."""
        if self.is_main_process:
            self.ledger = Ledger(self.output_dir / "ledger", pool.key_N, generation, self.columns)
            self.completions = CompletionLog(self.output_dir, keeping.completions_mb * 1e6, generation)
            write_pool(self.output_dir, pool, with_prompts=keeping.keep_completions != "none")
            self._log = StepLog(self.output_dir / "metrics.jsonl", int(self.totals["step"]))

    def collected(self, batch: Batch, judgement_tokens: int, more: dict[str, float]) -> None:
        """Takes in a generation: its funnel, the totals so far, and `more` numbers of it.

        The tokens of judgements are tokens generated.
        """
        row = {**funnel(batch), **more}
        row["tokens/generated"] += judgement_tokens
        for name in TOTALS:
            self.totals[f"{name}_total"] += row[name]
        row |= self._totals()
        self._step.add(row, weights(batch))
        self._since_log.add(row, weights(batch))

    def _totals(self) -> dict[str, float]:
        return {f"{name}_total": self.totals[f"{name}_total"] for name in TOTALS}

    def note(self, row: dict[str, float]) -> None:
        """Adds the step's own numbers to its line."""
        self._step.row |= row

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._started = time.perf_counter()
        self.note({"learning_rate": kwargs["lr_scheduler"].get_last_lr()[0]})

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        seconds = time.perf_counter() - self._started
        self.totals["seconds/total"] += seconds
        self.totals["step"] = state.global_step
        spent = sum(self.row.get(name, 0.0) for name in SPENT_IN_COLLECT)
        if self._log is not None:
            self._log.write(
                {
                    "step": state.global_step,
                    **self._totals(),  # also of a step on an earlier generation
                    **self.row,
                    "seconds/update": seconds - spent,
                    "seconds/step": seconds,
                    "seconds/total": self.totals["seconds/total"],
                }
            )
        self._names |= self.row.keys()
        self._step = Account()

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        """What `metrics.jsonl` has is not kept in the trainer's history too, which every checkpoint holds."""
        if logs is None or "loss" not in logs:
            return
        entry = state.log_history[-1]
        for name in self._names:
            entry.pop(f"{PREFIX}{name}", None)
        self._since_log = Account()

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.flush()

    def flush(self) -> None:
        """Puts all groups and lines so far on the disk."""
        self.ledger.flush()
        if self.completions is not None:
            self.completions.flush()
        if self._log is not None:
            self._log.sync()

    def state_dict(self) -> dict[str, Any]:
        return {"totals": dict(self.totals), "since_log": self._since_log.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.totals = defaultdict(float, state["totals"])
        self._since_log.load_state_dict(state["since_log"])
