"""Rows of a data set, whatever holds them: their columns.

Rows are a `datasets.Dataset`, a list of dicts, or anything with `column_names` that gives a column by name.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

SLICE = 10_000
"""Rows that are read at once: a `datasets.Dataset` is slow a row at a time, and large as Python objects."""

Rows = Sequence[Mapping[str, Any]]


def is_transformed(rows: Any) -> bool:
    """Whether a function makes the rows of a `datasets.Dataset` as they are read (`with_transform`)."""
    return hasattr(rows, "format") and rows.format["type"] == "custom"


def column_names(rows: Rows) -> list[str]:
    if is_transformed(rows):
        return list(rows[0])
    return list(getattr(rows, "column_names", None) or rows[0].keys())


def column(rows: Any, name: str) -> np.ndarray | None:
    """A column as an array, or None where there is none of that name."""
    if name not in column_names(rows):
        return None
    if is_transformed(rows):
        firsts = range(0, len(rows), SLICE)
        return np.asarray([value for first in firsts for value in rows[first : first + SLICE][name]])
    if hasattr(rows, "with_format"):
        return rows.select_columns([name]).with_format("arrow")[:][name].to_numpy()
    return np.asarray(rows[name] if hasattr(rows, "column_names") else [row[name] for row in rows])
