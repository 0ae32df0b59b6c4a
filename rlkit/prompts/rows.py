"""Rows of a data set, whatever holds them: their columns, and stable keys of their prompts.

Rows are a `datasets.Dataset`, a list of dicts, or anything with `column_names` that gives a column by name.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np

SLICE = 10_000
"""Rows that are read at once: a `datasets.Dataset` is slow a row at a time, and large as Python objects."""

Rows = Sequence[Mapping[str, Any]]


def column_names(rows: Rows) -> list[str]:
    return list(getattr(rows, "column_names", None) or rows[0].keys())


def column(rows: Any, name: str) -> np.ndarray | None:
    """A column as an array, or None where there is none of that name."""
    if name not in column_names(rows):
        return None
    if hasattr(rows, "with_format"):
        return rows.select_columns([name]).with_format("arrow")[:][name].to_numpy()
    return np.asarray(rows[name] if hasattr(rows, "column_names") else [row[name] for row in rows])


def prompt_keys(rows: Rows) -> np.ndarray:
    """64-bit keys of the rows' prompts: blake2b of the text, or of the messages as canonical JSON.

    Rows with images are told apart by position too: the same question may be asked of two pictures.
    """
    columns = column_names(rows)
    positional = "image" in columns or "images" in columns
    digests: list[bytes] = []
    for prompts in _slices(rows, "prompt"):
        texts = [
            prompt if isinstance(prompt, str) else json.dumps(prompt, sort_keys=True, default=str)
            for prompt in prompts
        ]
        if positional:
            texts = [f"{position}:{text}" for position, text in enumerate(texts, start=len(digests) * SLICE)]
        digests.append(b"".join([blake2b(text.encode(), digest_size=8).digest() for text in texts]))
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)


def _slices(rows: Any, name: str) -> Iterator[list[Any]]:
    """A column in parts of `SLICE` rows."""
    table = rows.select_columns([name]) if hasattr(rows, "select_columns") else None
    for first in range(0, len(rows), SLICE):
        last = min(first + SLICE, len(rows))
        yield [rows[row][name] for row in range(first, last)] if table is None else table[first:last][name]


def unique_prompts(key_N: np.ndarray) -> np.ndarray:
    """Positions of the first row of each key, in order. [7, 9, 7] -> [0, 1]"""
    return np.sort(np.unique(key_N, return_index=True)[1])
