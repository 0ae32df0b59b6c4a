"""The lines of `metrics.jsonl` as curves of at most so many points, and the axes they are drawn against."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rlkit.settings.budget import AXES

Rows = Sequence[Mapping[str, Any]]


def axes(rows: Rows, points: int) -> dict[str, list[float | None]]:
    """Steps, rollouts, tokens and seconds at the end of each point."""
    last = [part[-1] for part in _parts(len(rows), points)]
    return {axis: [_number(rows[row].get(name)) for row in last] for axis, name in AXES.items()}


def curves(rows: Rows, points: int) -> dict[str, list[float]]:
    """Every numeric column but the totals: the mean over the steps of each point, NaN where none has it."""
    names = sorted({name for row in rows for name, value in row.items() if _number(value) is not None})
    names = [name for name in names if name not in ("step", "seconds/total") and not name.endswith("_total")]
    if not names:
        return {}
    # None becomes NaN.
    value_SC = np.array([[_number(row.get(name)) for name in names] for row in rows], dtype=float)
    known_SC = ~np.isnan(value_SC)
    starts = [part[0] for part in _parts(len(rows), points)]
    sums = np.add.reduceat(np.where(known_SC, value_SC, 0.0), starts)
    counts = np.add.reduceat(known_SC.astype(int), starts)
    means = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return {name: means[:, column].tolist() for column, name in enumerate(names)}


def evaluation_curve(values: Sequence[tuple[int, float]], rows: Rows) -> dict[str, list[float]]:
    """Held-out values with what the run had spent at their steps; 0 before the first step."""
    step_S = np.array([0, *(row["step"] for row in rows)], dtype=float)
    curve: dict[str, list[float]] = {"value": [value for _, value in values]}
    for axis, name in AXES.items():
        spent_S = np.array([0.0, *(_number(row.get(name)) or 0.0 for row in rows)])
        curve[axis] = [float(np.interp(step, step_S, spent_S)) for step, _ in values]
    return curve


def total(rows: Rows, name: str) -> float:
    """Sum of a column over the run; 0 where it is missing."""
    return sum(_number(row.get(name)) or 0.0 for row in rows)


def _parts(num: int, points: int) -> list[np.ndarray]:
    return np.array_split(np.arange(num), min(num, points)) if num else []


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) and math.isfinite(value) else None
