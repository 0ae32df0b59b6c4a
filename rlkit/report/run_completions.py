"""The kept completions as a page can hold them: spread over the run, long texts cut in the middle."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rlkit.record.completions import read_completions
from rlkit.record.messages import as_text, restored
from rlkit.report.run_groups import GroupTable

MOST_BYTES = 1_500_000
"""Of the texts on a page, over all its runs."""
LONGEST = 4000
"""Characters of a text; of a longer one the first and the last half of these are shown."""


def completions(folder: Path, groups: GroupTable, most_bytes: float = MOST_BYTES) -> dict[str, Any]:
    """Rows in order of steps, and how many were kept in all.

    A row's `surprise` is the distance of its group's mean from its prediction, None where nothing was
    predicted or the ledger does not have the group yet; `rank` is "best" or "worst" of its group.
    """
    table = read_completions(folder)
    chosen = table.take(_spread(table, most_bytes))
    predicts = len(groups) > 0 and np.ptp(groups.predicted_P) > 0
    groups = groups.take(np.isin(groups.generation_P, chosen["generation"].to_numpy()))
    surprise = {
        (int(generation), int(index)): round(float(abs(mean - predicted)), 4)
        for generation, index, mean, predicted in zip(
            groups.generation_P, groups.index_P, groups.mean_P, groups.predicted_P, strict=True
        )
        if predicts and np.isfinite(mean) and np.isfinite(predicted)
    }
    shown = chosen.to_pylist()
    ends = _ends(shown)
    rows = [
        {
            "step": row["step"],
            "index": row["index"],
            "prompt": _cut(as_text(restored(row["prompt"], row["chat"]))),
            "gold": None if row["gold"] is None else _cut(row["gold"]),
            "completion": _cut(as_text(restored(row["completion"], row["chat"]))),
            "tokens": row["tokens"],
            "signal": _number(row["signal"]),
            "rewards": {name: _number(value) for name, value in row["rewards"]},
            "rank": ends.get(position),
            "surprise": surprise.get((row["generation"], row["index"])),
        }
        for position, row in enumerate(shown)
    ]
    return {"kept": len(table), "rows": rows}


def _spread(table: Any, most_bytes: float) -> np.ndarray:
    """Positions of whole generations, evenly over the run, whose texts fit."""
    if len(table) == 0:
        return np.empty(0, dtype=int)
    sizes = sum(np.minimum(_lengths(table[name]), LONGEST) for name in ("prompt", "gold", "completion"))
    generation, first = np.unique(table["generation"].to_numpy(), return_index=True)
    size_of = np.add.reduceat(sizes, first)
    stride = 1
    while stride < len(generation) and size_of[::stride].sum() > most_bytes:
        stride += 1
    return np.flatnonzero(np.isin(table["generation"].to_numpy(), generation[::stride]))


def _lengths(texts: pa.ChunkedArray) -> np.ndarray:
    """Bytes of each text, 0 of a missing one."""
    lengths = pc.call_function("binary_length", [texts])
    return pc.call_function("coalesce", [lengths, pa.scalar(0, lengths.type)]).to_numpy()


def _ends(rows: list[dict[str, Any]]) -> dict[int, str]:
    """Which rows are the best or the worst of their group, where the kept ones of it differ."""
    groups: dict[tuple[int, int], list[int]] = {}
    for position, row in enumerate(rows):
        if _number(row["signal"]) is not None:
            groups.setdefault((row["generation"], row["index"]), []).append(position)
    ends: dict[int, str] = {}
    for positions in groups.values():
        ordered = sorted(positions, key=lambda position: rows[position]["signal"])
        if rows[ordered[0]]["signal"] < rows[ordered[-1]]["signal"]:
            ends |= {ordered[0]: "worst", ordered[-1]: "best"}
    return ends


def _cut(text: str) -> str:
    if len(text) <= LONGEST:
        return text
    half = LONGEST // 2
    return f"{text[:half]}\n[… {len(text) - 2 * half:,} characters …]\n{text[-half:]}"


def _number(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else round(float(value), 5)
