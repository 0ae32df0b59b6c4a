"""The account of a run: every group in `ledger/` (Parquet), every optimizer step in `metrics.jsonl`."""

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from rlkit.record.parts import Parts, read_parts
from rlkit.types import Batch

GROUPS_PER_PART = 50_000

SCHEMA = pa.schema(
    [
        ("generation", pa.int64()),
        ("step", pa.int64()),
        ("round", pa.int32()),
        ("key", pa.uint64()),
        ("index", pa.int64()),
        ("predicted_mean", pa.float64()),
        ("predicted_variance", pa.float64()),
        ("predicted_error", pa.float64()),
        ("signals", pa.list_(pa.float32())),
        ("rewards", pa.list_(pa.float32())),
        ("lengths", pa.list_(pa.int32())),
        ("ages", pa.list_(pa.int32())),
        ("share", pa.float32()),
        ("reason", pa.string()),
        ("trained", pa.bool_()),
        ("selection_seconds", pa.float64()),
        ("generation_seconds", pa.float64()),
        ("grading_seconds", pa.float64()),
    ]
)
"""One row a group. `generation` counts calls of collect from 0, `step` optimizer steps from 1; seconds are
the group's equal share of its generation's. Lists hold an item a completion, `ages` the generations since it
was made; a group that is rolled out in two generations or replayed has a row in each. `share` is how much of
the prompt's solution was revealed."""


class Ledger:
    """Appends groups to Parquet parts in `folder`.

    Args:
        folder: made if it is missing.
        key_N: the pool's keys.
        generation: number of the next generation; groups of this one and later that are on disk are dropped.
        more: columns beside those of every host, which `write` gets.
    """

    def __init__(self, folder: Path, key_N: np.ndarray, generation: int = 0, more: Sequence[pa.Field] = ()):
        self.folder, self._key_N = folder, key_N
        self._schema = pa.schema([*SCHEMA, *more])
        self.generation, self.step = generation, 1
        self._rows: list[dict[str, Any]] = []
        self._num_rows = 0
        self._parts = Parts(folder, self._schema, generation)

    def write(self, batch: Batch, **more: np.ndarray) -> None:
        """Appends the generation's groups; they are on disk after the next `flush`."""
        groups, num = batch.groups, len(batch.groups)
        columns = {
            "generation": np.full(num, self.generation),
            "step": np.full(num, self.step),
            "round": batch.round_P,
            "key": self._key_N[groups.index_P],
            "index": groups.index_P,
            "predicted_mean": batch.prediction.mean_N,
            "predicted_variance": batch.prediction.variance_N,
            "predicted_error": batch.prediction.error_N,
            **{
                name: [row[:size] for row, size in zip(column_PG, groups.size_P, strict=True)]
                for name, column_PG in {
                    "signals": groups.signal_PG,
                    "rewards": groups.reward_PG,
                    "lengths": groups.length_PG,
                    "ages": groups.age_PG,
                }.items()
            },
            "share": groups.share_P,
            "reason": batch.reason_P,
            "trained": batch.trained_P,
            "selection_seconds": np.full(num, batch.selection_seconds / num),
            "generation_seconds": np.full(num, groups.generation_seconds / num),
            "grading_seconds": np.full(num, groups.grading_seconds / num),
            **more,
        }
        self._rows.append(columns)
        self._num_rows += num
        self.generation += 1
        if self._num_rows >= GROUPS_PER_PART:
            self.flush()

    def flush(self) -> None:
        if not self._rows:
            return
        # Built only here, since a table of a few rows costs as much as one of thousands.
        self._parts.write(
            pa.concat_tables([pa.table(columns, schema=self._schema) for columns in self._rows])
        )
        self._rows, self._num_rows = [], 0


def read_ledger(folder: Path) -> pa.Table:
    """All groups of a run, in order."""
    return read_parts(folder, SCHEMA)


class StepLog:
    """`metrics.jsonl`: one line an optimizer step; those after `step` go when a run resumes there."""

    def __init__(self, path: Path, step: int = 0):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            lines = [line for line in path.read_text().splitlines() if _step_of(line) <= step]
            temporary = path.with_suffix(".tmp")
            temporary.write_text("".join(f"{line}\n" for line in lines))
            temporary.replace(path)
        self._file = path.open("a", buffering=1)

    def write(self, row: dict[str, Any]) -> None:
        """Appends a line; a number that JSON cannot hold becomes null."""
        finite = {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in row.items()
        }
        self._file.write(json.dumps(finite) + "\n")

    def sync(self) -> None:
        """Waits until the lines are on the disk."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


def _step_of(line: str) -> float:
    """The line's step; infinite where a killed process left half a line, so that it goes too."""
    try:
        return json.loads(line)["step"]
    except json.JSONDecodeError:
        return math.inf
