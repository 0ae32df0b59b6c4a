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
NUMBER, HAS_LENGTH = bool | int | float, list | dict | str
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
        self._named = [name for name in names if _is_named([row.get(name) for row in rows])]
        self._sized = [
            name for name in names if name not in self._named and _is_sized([row.get(name) for row in rows])
        ]
        if not self._named and not self._sized:
            raise ValueError(
                "value_features names columns and no column beside the prompt and the gold says anything "
                f"that rows share (the data has: {', '.join(pool.column_names)}); leave columns out"
            )
        self._buckets = [_Buckets(name) for name in self._named]

    def look(self, index_N: np.ndarray, rows: list[dict[str, Any]]) -> Hashed:
        num, width = len(rows), len(self._named)
        bucket_NW = np.empty((num, width), dtype=np.int32)
        for place, (name, buckets) in enumerate(zip(self._named, self._buckets, strict=True)):
            bucket_NW[:, place] = [buckets[str(row.get(name))] for row in rows]
        size_NK = np.empty((num, len(self._sized)), dtype=np.float32)
        for place, name in enumerate(self._sized):
            size_NK[:, place] = _sizes([row.get(name) for row in rows])
        return Hashed(
            np.arange(num + 1) * width,
            bucket_NW.reshape(-1),
            np.full(num * width, np.log(2), dtype=np.float32),
            size_NK,
        )


class _Buckets(dict[str, int]):
    """The bucket of each value of a column, hashed when it is first met."""

    def __init__(self, name: str):
        self.name = name

    def __missing__(self, value: str) -> int:
        digest = blake2b(f"{self.name}={value}".encode(errors="replace"), digest_size=4).digest()
        bucket = self[value] = int.from_bytes(digest, "little") % WIDTH
        return bucket


def _is_named(values: list[Any]) -> bool:
    """Few short values, each of several rows."""
    if not all(value is None or isinstance(value, str | int | float | bool) for value in values):
        return False
    short = all(not isinstance(value, str) or len(value) <= SHORT for value in values)
    return short and 1 < len(set(values)) <= max(len(values) // 4, 2)


def _is_sized(values: list[Any]) -> bool:
    """Numbers, lists, or texts of which some are long."""
    names = all(isinstance(value, str) and len(value) <= SHORT for value in values)
    return not names and all(isinstance(value, NUMBER | HAS_LENGTH | None) for value in values)


def _sizes(values: list[Any]) -> np.ndarray:
    """(N,) numbers as they are and lengths, on a signed log scale; 0 for what is neither."""
    if all(issubclass(kind, HAS_LENGTH) for kind in set(map(type, values))):
        size_N = np.array([len(value) for value in values], dtype=float)
    else:
        size_N = np.array([_size(value) for value in values], dtype=float)
    size_N = np.where(np.isfinite(size_N), size_N, 0.0)
    return np.sign(size_N) * np.log1p(np.abs(size_N))


def _size(value: Any) -> float:
    if isinstance(value, NUMBER):
        try:
            return float(value)
        except OverflowError:  # an integer beyond 1e308
            return np.inf
    return float(len(value)) if isinstance(value, HAS_LENGTH) else 0.0
