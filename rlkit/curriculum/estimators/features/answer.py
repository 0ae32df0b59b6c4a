"""The form of the gold answer: how a question is to be answered says much of what kind of question it is.

Its characters, alone and as runs of two and three, the whole of it, and its shape (digits as 9), as hashed
terms; and its length, its signs, its size where it is a number. A gold in GSM8K's form counts from `####` on.
The policy never sees it. On DeepScaleR's questions it explains as much of the success rate as the hidden
states of a 135M model, and adds half to what the text explains (LOG.md).
"""

import json
from hashlib import blake2b
from typing import Any

import numpy as np

from rlkit.curriculum.estimators import Senses
from rlkit.curriculum.estimators.features.feature import Feature
from rlkit.curriculum.estimators.features.hashed import Hashed, grouped
from rlkit.prompts.pool import PromptPool
from rlkit.settings.columns import has_column, value_of

MAX_LENGTH = 64
"""Bytes of a gold whose characters are read."""
CHUNK = 2048
CLASSES = (b"0123456789", b"\\", b",", b"-", b"([{", b"^_", b"=", b"/", b".", bytes(range(65, 123)))
"""Bytes that are counted together; the last are letters, `\\frac`'s too."""
WORDS = ("frac", "sqrt", "pi", "text")
NUM_NUMBERS = len(CLASSES) + len(WORDS) + 8

_RANDOM = np.frombuffer(
    b"".join(blake2b(bytes([byte]), digest_size=4, person=b"gold").digest() for byte in range(256)), "<u4"
)
_POWER = np.cumprod(np.full(MAX_LENGTH + 3, 2654435761, dtype=np.uint32), dtype=np.uint32)
_SALT = np.array([0x9E3779B9, 0x85EBCA6B, 0xC2B2AE35, 0x27D4EB2F, 0x165667B1], dtype=np.uint32)
_CLASS = np.full(256, len(CLASSES))
for _number, _bytes in enumerate(CLASSES):
    _CLASS[list(_bytes)] = np.minimum(_CLASS[list(_bytes)], _number)
_SHAPE = np.arange(256)
_SHAPE[list(b"012345678")] = ord("9")


class Answer(Feature):
    """The gold in `column`, which may be nested (`reward_model.ground_truth`)."""

    def __init__(self, column: str):
        self.column = column

    def bind(self, pool: PromptPool, senses: Senses) -> None:
        """Raises as `check_gold`."""
        check_gold(pool, self.column, "answer")

    def look(self, index_N: np.ndarray, rows: list[dict[str, Any]]) -> Hashed:
        column, nested = self.column, "." in self.column
        golds = [answer_text(value_of(row, column) if nested else row.get(column)) for row in rows]
        # Golds come again: many are small numbers.
        place = {gold: number for number, gold in enumerate(dict.fromkeys(golds))}
        own = list(place)
        parts = [_of_chunk(own[first : first + CHUNK]) for first in range(0, max(len(own), 1), CHUNK)]
        return Hashed.concatenate(parts).take(np.array([place[gold] for gold in golds], dtype=np.int64))


def check_gold(pool: PromptPool, column: str, feature: str) -> None:
    """Raises ValueError where the column that the feature reads is missing, or empty everywhere."""
    if not has_column(pool.take(np.zeros(1, dtype=np.int64))[0], column):
        raise ValueError(
            f"value_features names {feature} and the data set has no `{column}` column; it has: "
            f"{', '.join(pool.column_names)}; set value_gold_column to the one that holds the gold "
            f"answers, or leave {feature} out"
        )
    sample = np.linspace(0, len(pool) - 1, min(len(pool), 1024)).astype(np.int64)
    if not any(answer_text(value_of(row, column)) for row in pool.take(sample)):
        raise ValueError(
            f"value_gold_column={column!r} is empty in all of {len(sample)} rows looked at; name "
            f"the column that holds the gold answers, or leave {feature} out of value_features"
        )


def answer_text(gold: Any) -> str:
    """A gold of any type as text. "6 * 7 = 42 #### 42" -> "42", [1, 2] -> "[1, 2]", None -> "" """
    if gold is None:
        return ""
    if isinstance(gold, str):
        return gold.rsplit("####", 1)[-1].strip()
    if isinstance(gold, list | dict):
        return json.dumps(gold, sort_keys=True, default=str)
    return str(gold)


def _of_chunk(golds: list[str]) -> Hashed:
    # A mark before and behind, so that the first and last characters are runs of their own.
    encoded = [b"\x02" + gold[:MAX_LENGTH].encode()[:MAX_LENGTH] + b"\x03" for gold in golds]
    length_N = np.array([len(text) for text in encoded], dtype=np.int64)
    byte_B = np.frombuffer(b"".join(encoded), dtype=np.uint8)
    row_B = np.repeat(np.arange(len(golds)), length_N)
    first_N = np.cumsum(length_N) - length_N
    random_B = _RANDOM[byte_B]
    hashes, rows = [random_B ^ _SALT[0]], [row_B]
    run_B = random_B
    for length in (2, 3):
        run_B = run_B[:-1] + random_B[length - 1 :] * _POWER[length]
        same = row_B[length - 1 :] == row_B[: 1 - length]
        hashes.append(run_B[same] ^ _SALT[length - 1])
        rows.append(row_B[: 1 - length][same])
    if len(golds):
        place_B = np.arange(len(byte_B)) - first_N[row_B]
        for salt, whole_B in zip(_SALT[3:], (byte_B, _SHAPE[byte_B]), strict=True):
            whole = np.add.reduceat(_RANDOM[whole_B] * _POWER[place_B], first_N, dtype=np.uint32)
            hashes.append(whole ^ salt)
            rows.append(np.arange(len(golds)))
    terms = grouped(np.concatenate(rows), np.concatenate(hashes), len(golds))
    return Hashed(*terms, _numbers(golds, byte_B, row_B, length_N))


def _numbers(golds: list[str], byte_B: np.ndarray, row_B: np.ndarray, length_N: np.ndarray) -> np.ndarray:
    """(N, NUM_NUMBERS) logs of counts, words that occur, and what sort of number it is."""
    num, width = len(golds), len(CLASSES) + 1
    count_NK = np.bincount(row_B * width + _CLASS[byte_B], minlength=num * width).reshape(num, width)
    value_N = np.array([_value(gold) for gold in golds], dtype=float)
    plain_N = ~np.isnan(value_N)
    words_NW = np.zeros((num, len(WORDS)))
    for row in np.flatnonzero(~plain_N).tolist():  # in a number there are none
        words_NW[row] = [word in golds[row] for word in WORDS]
    size_N = np.abs(np.where(plain_N, value_N, 0.0))
    sorts = [
        np.log1p(length_N),
        plain_N,
        np.log1p(size_N),
        plain_N & (size_N % 1 == 0),
        plain_N & (size_N < 10),
        plain_N & (size_N < 100),
        plain_N & (size_N % 10 == 0),
        plain_N & (size_N % 2 == 0),
    ]
    columns = [np.log1p(count_NK[:, :-1]), words_NW, np.stack(sorts, axis=1)]
    return np.concatenate(columns, axis=1).astype(np.float32)


def _value(gold: str) -> float:
    """The number that the gold is, up to 1e12, NaN where it is none. "1,200" -> 1200, "2/3" -> NaN"""
    plain = gold.replace(",", "")
    if not plain.lstrip("-").replace(".", "", 1).isdecimal():
        return float("nan")
    try:
        return min(float(plain), 1e12)
    except ValueError:
        return float("nan")
