"""Rows into a file of the form that its suffix says."""

import json
from pathlib import Path
from typing import Any

from rlkit.harvest.groups import Harvest
from rlkit.record.disk import put_in_place

SUFFIXES = (".jsonl", ".parquet")


def check_out(out: Path) -> None:
    """A ValueError where the file's suffix names no form."""
    if out.suffix not in SUFFIXES:
        raise ValueError(f"out ({out}) must end in {' or '.join(SUFFIXES)}")


def write_rows(rows: list[dict[str, Any]], out: Path) -> None:
    """Writes the file whole, or not at all."""
    check_out(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(f".{out.name}.part")
    if out.suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pylist(rows), temporary)
    else:
        text = "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
        temporary.write_text(text, encoding="utf-8")
    put_in_place(temporary, out)


def check_left(harvest: Harvest, run: Path) -> None:
    """A ValueError where no row is left: the first rule that left none, and what came before it."""
    if not harvest.rows:
        counts = [f"{rule}: {num}" for rule, num in harvest.left.items()]
        emptied = next(rule for rule, num in harvest.left.items() if num == 0)
        raise ValueError(f"nothing to harvest in {run}: {emptied!r} leaves none ({', '.join(counts)})")
