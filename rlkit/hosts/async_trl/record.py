"""The account of an asynchronous run: a row a group with its number and its age, a line a step."""

from typing import Any

import numpy as np
import pyarrow as pa
from transformers import TrainerCallback

from rlkit.hosts.async_trl.journal import LOST, STALE
from rlkit.hosts.async_trl.settled import Settled
from rlkit.hosts.trl.step_record import StepRecord
from rlkit.record.ledger import Ledger

COLUMNS = (pa.field("group", pa.int64()), pa.field("staleness", pa.int32()))
"""`group` is the number in the journal, `staleness` how many policy versions a group was old when it was
trained on or dropped. The `ages` of all completions are 0: each has one row, where its cost counts."""


class AsyncRecord(StepRecord):
    """As the synchronous trainer's, with rows of groups settled between two steps."""

    columns = COLUMNS

    def settled(self, settled: Settled, more: dict[str, float]) -> None:
        """Takes in a step's groups, and `more` numbers of it."""
        batch = settled.batch
        self.write(settled)
        counts = {reason: int((batch.reason_P == reason).sum()) for reason in (LOST, STALE)}
        old_P = settled.staleness_P[batch.trained_P]
        self.collected(
            batch,
            0,
            {
                **{f"funnel/{reason}": count for reason, count in counts.items()},
                "async/staleness": float(old_P.mean()) if len(old_P) else 0.0,
                "async/staleness_most": float(old_P.max(initial=0)),
                **more,
            },
        )

    def write(self, settled: Settled) -> None:
        if isinstance(self.ledger, Ledger):
            self.ledger.write(settled.batch, **columns_of(settled))


def columns_of(settled: Settled) -> dict[str, np.ndarray]:
    """Of the ledger; the key too, as a prompt that the data has no more has its row still, at index -1."""
    return {"group": settled.number_P, "key": settled.key_P, "staleness": settled.staleness_P}


class SettleSteps(TrainerCallback):
    """Ends each optimizer step of the flow; called before the record writes the step's line."""

    def __init__(self, trainer: Any):
        self.trainer = trainer

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        trainer, worker = self.trainer, self.trainer.worker
        if worker is None:
            return
        with worker.changed:
            flow = worker.flow
            trainer.record.ledger.step = state.global_step
            settled = flow.settle()
            more = {
                "async/in_flight": float(len(flow.in_flight)),
                "async/queue": float(len(flow.ready)),
                "grade/error": float(worker.num_errors),
                **trainer.curriculum.metrics(),
            }
            worker.num_errors = 0
            if settled is not None:
                trainer.record.settled(settled, more)
        for name, value in trainer.record.logged.items():
            trainer._metrics["train"][name] = [value]
