"""What the policy said in a step, for `ledger/completions/`: prompt, gold, completion and rewards as text."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from accelerate.utils import gather_object

from rlkit.record.completions import everything, extremes
from rlkit.record.messages import as_text, is_messages, stored
from rlkit.settings.columns import has_column, value_of
from rlkit.types import Batch

GOLD_COLUMNS = ("answer", "solution", "gold", "ground_truth", "target", "reward_model.ground_truth")
"""Where a gold is looked for, in this order, unless `value_gold_column` names its column."""


def write(trainer: Any, batch: Batch) -> None:
    """Appends the batch's completions that the run keeps; every process takes part."""
    keep = trainer.curriculum.keeping.keep_completions
    if keep == "none":
        return
    key_P = trainer.pool.key_N[batch.groups.index_P]
    kept = extremes(batch, key_P) if keep == "extremes" else everything(batch)
    rows = [
        (position, place, row)
        for position, places in kept
        for place, row in _rows(trainer, batch, position)
        if place in places
    ]
    texts = _texts(trainer, [row for _, _, row in rows])
    if trainer.record.completions is None or not rows:
        return
    values = trainer.host.rewards_of([row for _, _, row in rows])
    names = trainer.reward_func_names
    written = [
        {
            "generation": trainer.curriculum.step - 1,
            "step": trainer.record.ledger.step,
            "index": int(batch.groups.index_P[position]),
            "key": int(key_P[position]),
            **texts[row],
            "tokens": int(batch.groups.length_PG[position, place]),
            "signal": float(batch.groups.signal_PG[position, place]),
            "reward": float(batch.groups.reward_PG[position, place]),
            "rewards": list(zip(names, rewards, strict=True)),
        }
        for (position, place, row), rewards in zip(rows, values, strict=True)
    ]
    trainer.record.completions.write(written, trainer.record.ledger.step / trainer.state.max_steps)


def _rows(trainer: Any, batch: Batch, position: int) -> list[tuple[int, int]]:
    """A group's completions of this step: places in the group, and the host's rows."""
    places = np.flatnonzero(batch.groups.age_PG[position] == 0)
    return list(zip(places.tolist(), trainer.host.fresh_rows(batch.groups, position), strict=True))


def _texts(trainer: Any, rows: list[int]) -> dict[int, dict[str, str | bool | None]]:
    """Prompt, gold and completion of these rows, of which each process made some."""
    column = trainer.curriculum.keeping.value_gold_column
    mine = [
        (
            row,
            {
                "prompt": stored(made.row.get("prompt")),
                "gold": gold_of(made.row, column),
                "completion": stored(made.generated[3]),
                "chat": is_messages(made.generated[3]),
            },
        )
        for row, made in trainer.host.made_here(rows).items()
    ]
    return dict(mine if trainer.accelerator.num_processes == 1 else gather_object(mine))


def gold_of(row: Mapping[str, Any], column: str | None) -> str | None:
    """The row's gold answer as text; None where no column of golds is known."""
    found = next((name for name in (column, *GOLD_COLUMNS) if name and has_column(row, name)), None)
    value = None if found is None else value_of(row, found)
    return None if value is None else as_text(value)
