"""What else a row says: names of its other columns with their values, and their sizes.

Text, numbers and truths with few values become hashed terms (`category=algebra`); other numbers, and the
lengths of lists and of long texts, become plain numbers on the pool's scale. Columns whose text differs from
row to row, as ids do, say nothing of others and are left out, as are the prompt, the gold and pictures.
"""

from hashlib import blake2b
from typing import Any

import numpy as np

from rlkit.curriculum.estimators import Senses
from rlkit.curriculum.estimators.features.feature import Feature
from rlkit.curriculum.estimators.features.hashed import WIDTH, Hashed
from rlkit.prompts.pool import PromptPool

SAMPLE = 2048
"""Rows that tell what kind of values a column has."""
SHORT = 64
"""Characters of a text that may be a name."""
LEFT_OUT = ("prompt", "image", "images", "tools")


class Columns(Feature):
    """All columns but the prompt and the gold."""

    def __init__(self, gold_column: str):
        self._left_out = {*LEFT_OUT, gold_column, gold_column.split(".")[0]}

    def bind(self, pool: PromptPool, senses: Senses) -> None:
        """Raises ValueError where no column is left."""
        index = np.sort(np.random.default_rng(0).choice(len(pool), min(SAMPLE, len(pool)), replace=False))
        rows = pool.take(index)
        names = [name for name in pool.column_names if name not in self._left_out]
        self._named = [name for name in names if _is_named([row[name] for row in rows])]
        self._sized = [
            name for name in names if name not in self._named and _is_sized([row[name] for row in rows])
        ]
        if not self._named and not self._sized:
            raise ValueError(
                "value_features names columns and no column beside the prompt and the gold says anything "
                f"that rows share (the data has: {', '.join(pool.column_names)}); leave columns out"
            )
        self._bucket: dict[str, int] = {}

    def look(self, index_N: np.ndarray, rows: list[dict[str, Any]]) -> Hashed:
        num, width = len(rows), len(self._named)
        bucket_NW = [[self._bucket_of(name, row[name]) for name in self._named] for row in rows]
        size_NK = [[_size(row[name]) or 0.0 for name in self._sized] for row in rows]
        return Hashed(
            np.arange(num + 1) * width,
            np.array(bucket_NW, dtype=np.int32).reshape(-1),
            np.full(num * width, np.log(2), dtype=np.float32),
            np.array(size_NK, dtype=np.float32).reshape(num, len(self._sized)),
        )

    def _bucket_of(self, name: str, value: Any) -> int:
        term = f"{name}={value}"
        known = self._bucket.get(term)
        if known is None:
            digest = blake2b(term.encode(), digest_size=4).digest()
            known = self._bucket[term] = int.from_bytes(digest, "little") % WIDTH
        return known


def _is_named(values: list[Any]) -> bool:
    """Few short values, each of several rows."""
    if not all(value is None or isinstance(value, str | int | float | bool) for value in values):
        return False
    short = all(not isinstance(value, str) or len(value) <= SHORT for value in values)
    return short and 1 < len(set(values)) <= max(len(values) // 4, 2)


def _is_sized(values: list[Any]) -> bool:
    """Numbers, lists, or texts of which some are long."""
    names = all(isinstance(value, str) and len(value) <= SHORT for value in values)
    return not names and all(_size(value) is not None for value in values)


def _size(value: Any) -> float | None:
    """A number as it is; how long a list or a text is, as a log. None for anything else."""
    if isinstance(value, bool | int | float):
        return float(np.sign(value) * np.log1p(abs(value))) if np.isfinite(value) else 0.0
    if value is None:
        return 0.0
    return float(np.log1p(len(value))) if isinstance(value, list | dict | str) else None
