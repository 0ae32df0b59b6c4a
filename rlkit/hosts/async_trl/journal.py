"""`journal.jsonl`: every group that was ordered, written before its rollout: a kill loses none silently.

One line a group, `{"group": 7, "key": 931, "count": 8, "step": 2}`; numbers rise by one, keys are the pool's.
What became of each is in the ledger, by its column `group`. `account` holds the two against each other.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc

from rlkit.record.ledger import read_ledger
from rlkit.types import REPLAYED

FILE = "journal.jsonl"
LOST = "lost"
"""Ordered, and gone with the process that was to roll it out; it is rolled out again under another number."""
STALE = "stale"
"""Older than `max_staleness` policy versions when its turn came."""
UNUSED = "unused"
"""Still waiting when the training ended."""


class Journal:
    """Appends orders; what an earlier process of the run wrote stays.

    Args:
        path: made if it is missing. Half a line, which a kill may leave at the end, is cut off: its group was
            not ordered yet.
    """

    def __init__(self, path: Path):
        path.parent.mkdir(parents=True, exist_ok=True)
        self.entries = read_journal(path)
        if path.exists():
            temporary = path.with_suffix(".tmp")
            temporary.write_text("".join(f"{json.dumps(entry)}\n" for entry in self.entries))
            temporary.replace(path)
        self._file = path.open("a", buffering=1)

    @property
    def next_number(self) -> int:
        return len(self.entries)

    def write(self, key: int, count: int, step: int) -> int:
        """Takes in an order, and gives its number."""
        entry = {"group": self.next_number, "key": key, "count": count, "step": step}
        self._file.write(json.dumps(entry) + "\n")
        self.entries.append(entry)
        return entry["group"]

    def close(self) -> None:
        self._file.close()


def read_journal(path: Path) -> list[dict[str, Any]]:
    """The orders so far, in order.

    Raises:
        ValueError: a line before the last is no order, or a number is missing.
    """
    if not path.exists():
        return []
    lines = path.read_text().splitlines(keepends=True)
    entries = [json.loads(line) for line in lines if line.endswith("\n")]
    if [entry["group"] for entry in entries] != list(range(len(entries))):
        raise ValueError(f"{path}: the numbers of its groups do not rise by one; it was written by two runs")
    return entries


def account(output_dir: str | Path) -> dict[str, int]:
    """Groups of a run that has ended: ordered, and what became of them.

    Returns:
        `spent`, and its parts `trained`, `lost` and `dropped` (by the filter, stale, or unused); `replayed`
        counts how often groups were trained on again, which costs no completions.

    Raises:
        ValueError: a group of the journal has no row in the ledger or several, or the ledger has others.
    """
    output_dir = Path(output_dir)
    ordered = range(len(read_journal(output_dir / FILE)))
    table = read_ledger(output_dir / "ledger")
    replays = np.array(table.filter(pc.field("round") == REPLAYED)["trained"].to_pylist(), dtype=bool)
    table = table.filter(pc.field("round") != REPLAYED)
    rows = Counter(table["group"].to_pylist() if len(table) else [])
    gaps = [number for number in ordered if rows[number] == 0]
    again = [number for number, times in rows.items() if times > 1]
    strange = [number for number in rows if number not in ordered]
    if gaps or again or strange:
        raise ValueError(
            f"{output_dir}: of {len(ordered)} groups ordered, {len(gaps)} have no row in the ledger "
            f"({gaps[:5]}), {len(again)} several ({again[:5]}), and {len(strange)} rows are of no order"
        )
    trained = np.array(table["trained"].to_pylist(), dtype=bool)
    lost = np.array(table["reason"].to_pylist()) == LOST
    return {
        "spent": len(ordered),
        "trained": int(trained.sum()),
        "dropped": int((~trained & ~lost).sum()),
        "lost": int(lost.sum()),
        "replayed": int(replays.sum()),
    }
