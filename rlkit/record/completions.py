"""What the policy said: `ledger/completions/` (Parquet), one row a completion, beside the ledger's groups.

`none` keeps nothing, `all` every completion, and `extremes` the best and the worst completion of a few groups
a generation: those whose mean was farthest from its prediction, and those with the smallest keys. A key is a
hash of its row, so that the latter are a random few, and the same ones whenever they come again.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from rlkit.record.parts import Parts, read_parts
from rlkit.types import REPLAYED, Batch

COMPLETIONS = Path("ledger") / "completions"
NUM_SURPRISING, NUM_FOLLOWED = 2, 2
"""Groups of a generation whose extremes are kept."""
SCHEMA = pa.schema(
    [
        ("generation", pa.int64()),
        ("step", pa.int64()),
        ("index", pa.int64()),
        ("key", pa.uint64()),
        ("prompt", pa.string()),
        ("gold", pa.string()),
        ("completion", pa.string()),
        ("chat", pa.bool_()),
        ("tokens", pa.int32()),
        ("signal", pa.float32()),
        ("reward", pa.float32()),
        ("rewards", pa.map_(pa.string(), pa.float32())),
    ]
)
"""`generation`, `step`, `index` and `key` are the ledger's; `rewards` are the reward functions' by name,
`reward` their weighted total, `signal` what the curriculum looks at. `gold` is null where no column of golds
is known. With `chat`, prompt and completion are messages as JSON (messages.py); it is null in older runs,
which kept such ones as plain text."""
TEXTS = ("prompt", "gold", "completion")


def extremes(batch: Batch, key_P: np.ndarray) -> list[tuple[int, list[int]]]:
    """The groups to keep, as positions in the batch, each with its worst and its best completion.

    Completions count among those that were rolled out now. A group of one kind of signal gives one of them.
    """
    groups = batch.groups
    fresh_P = (batch.round_P != REPLAYED) & (groups.age_PG == 0).any(axis=1) & (groups.count_P > 0)
    fresh = np.flatnonzero(fresh_P)
    surprise = np.abs(groups.mean_P[fresh] - batch.prediction.mean_N[fresh])
    chosen = [*fresh[np.argsort(-surprise, kind="stable")[:NUM_SURPRISING]]]
    chosen += [*fresh[np.argsort(key_P[fresh], kind="stable")[:NUM_FOLLOWED]]]
    return [
        (int(position), _ends(groups.signal_PG[position], groups.age_PG[position]))
        for position in dict.fromkeys(chosen)
    ]


def everything(batch: Batch) -> list[tuple[int, list[int]]]:
    """Every completion that was rolled out now, in the form of `extremes`."""
    fresh_PG = (batch.groups.age_PG == 0) & (batch.round_P != REPLAYED)[:, None]
    return [
        (position, np.flatnonzero(fresh_G).tolist())
        for position, fresh_G in enumerate(fresh_PG)
        if fresh_G.any()
    ]


def _ends(signal_G: np.ndarray, age_G: np.ndarray) -> list[int]:
    scored = np.flatnonzero((age_G == 0) & ~np.isnan(signal_G))
    if len(scored) == 0:
        return []
    worst, best = scored[np.argmin(signal_G[scored])], scored[np.argmax(signal_G[scored])]
    return [int(worst)] if signal_G[worst] == signal_G[best] else [int(worst), int(best)]


class CompletionLog:
    """Appends completions to Parquet parts, in step with the ledger.

    Their texts take `most_bytes` at most, spread evenly over the run: a generation is kept while the texts so
    far are no more than the share of it that the steps so far are of all.

    Args:
        output_dir: the run's.
        generation: of the next step; those of this one and later that are on disk are dropped.
    """

    def __init__(self, output_dir: Path, most_bytes: float, generation: int = 0):
        folder = output_dir / COMPLETIONS
        self._parts = Parts(folder, SCHEMA, generation)
        self._most_bytes = most_bytes
        self.num_bytes = _num_bytes(read_parts(folder, SCHEMA))
        self._tables: list[pa.Table] = []

    def write(self, rows: Sequence[dict[str, Any]], share_of_run: float) -> None:
        """Appends a generation's completions, or leaves them out where there is no room yet.

        Args:
            rows: with the columns of `SCHEMA`.
            share_of_run: the steps so far, this one among them, of all.
        """
        table = pa.Table.from_pylist(list(rows), schema=SCHEMA)
        num_bytes = self.num_bytes + _num_bytes(table)
        if len(table) and num_bytes <= share_of_run * self._most_bytes:
            self._tables.append(table)
            self.num_bytes = num_bytes

    def flush(self) -> None:
        """Puts all completions so far on the disk."""
        if self._tables:
            self._parts.write(pa.concat_tables(self._tables))
            self._tables = []


def _num_bytes(table: pa.Table) -> int:
    """UTF-8 bytes of the texts."""
    return sum(len(text.encode()) for name in TEXTS for text in table[name].to_pylist() if text)


def read_completions(output_dir: Path) -> pa.Table:
    """All completions that a run kept, in order."""
    return read_parts(output_dir / COMPLETIONS, SCHEMA)
