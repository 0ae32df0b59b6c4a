"""The lines of `metrics.jsonl` as curves of at most so many points, and the axes they are drawn against."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rlkit.settings.budget import AXES

Rows = Sequence[Mapping[str, Any]]


def axes(rows: Rows, points: int) -> dict[str, list[float | None]]:
    """Steps, rollouts, tokens and seconds at the end of each point."""
    last = [part[-1] for part in _parts(len(rows), points)]
    return {axis: [_number(rows[row].get(name)) for row in last] for axis, name in AXES.items()}


def curves(rows: Rows, points: int) -> dict[str, list[float | None]]:
    """Every numeric column but the totals: the mean over the steps of each point, None where none has it."""
    names = sorted({name for row in rows for name, value in row.items() if _number(value) is not None})
    parts = _parts(len(rows), points)
    found = {}
    for name in names:
        if name == "step" or name.endswith("_total") or name == "seconds/total":
            continue
        value_S = np.array([_number(row.get(name)) for row in rows], dtype=float)  # None becomes NaN
        found[name] = [_mean(value_S[part]) for part in parts]
    return found


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
    return value if isinstance(value, int | float) and np.isfinite(value) else None


def _mean(value_S: np.ndarray) -> float | None:
    known = value_S[~np.isnan(value_S)]
    return float(known.mean()) if len(known) else None
