"""What a prompt's text shows without a model, a download or a vocabulary: hashed n-grams and proportions.

Words (`\\frac` is one), numbers and symbols, alone and as runs of two and three, fall into `WIDTH` buckets
by a stable hash (Weinberger et al., arXiv 0902.2206). A bucket's count c weighs log(1 + c) times how rare
the bucket is in the pool, and a prompt's weights have unit length, as in TF-IDF. Beside them stand the
proportions: length, digits, capitals, and marks of each kind. It all works on the bytes of many prompts at
once.
"""

from collections.abc import Iterator
from functools import cache
from hashlib import blake2b
from typing import Any

import numpy as np

from rlkit.curriculum.estimators.features.feature import Feature
from rlkit.curriculum.estimators.features.hashed import Hashed, grouped
from rlkit.prompts.pool import PromptPool

MAX_LENGTH = 4096
"""Bytes of a prompt that are read: a limit on what one prompt can cost."""
CHUNK = 256
"""Prompts at a time, so that the work stays in the processor's cache."""

_SPACE, _LETTER, _DIGIT, _SYMBOL = range(4)


def _kind(byte: int) -> int:
    if byte <= 32:
        return _SPACE
    if byte > 127 or chr(byte).isalpha():  # above 127: a part of a letter, in UTF-8
        return _LETTER
    return _DIGIT if chr(byte).isdigit() else _SYMBOL


_KIND = bytes(map(_kind, range(256)))
_MARKS = ("$", "\\", "^_", "=", "?", ",", "()[]{}", "+-*/<>", ".;:")
NUM_GROUPS = len(_MARKS) + 3
_GROUP = np.zeros(256, dtype=np.int64)
"""Of a token's first byte: its marks, a capital, a letter of another alphabet, or 0."""
for _number, _mark in enumerate((*_MARKS, bytes(range(65, 91)).decode()), start=1):
    _GROUP[list(_mark.encode())] = _number
_GROUP[128:] = NUM_GROUPS - 1
NUM_PROPORTIONS = 2 * NUM_GROUPS + 8

# A token's hash is the sum of a random number a byte times a power of `_BASE`, all modulo 2**32.
_BASE, _SECOND, _THIRD = np.array([2654435761, 2246822519, 3266489917], dtype=np.uint32)
_RANDOM = b"".join(blake2b(bytes([byte]).lower(), digest_size=4).digest() for byte in range(256))
_BYTE = np.frombuffer(_RANDOM, dtype="<u4") * (np.frombuffer(_KIND, dtype=np.uint8) != _SPACE).astype(
    np.uint32
)
_NUM_BYTES = CHUNK * (MAX_LENGTH + 1) + 1


@cache
def _powers() -> tuple[np.ndarray, np.ndarray]:
    """Those of `_BASE`, and their inverses: made when the first text is read, since they take 20 ms."""
    inverse = pow(int(_BASE), -1, 1 << 32)
    return tuple(  # type: ignore[return-value]
        np.cumprod(np.full(_NUM_BYTES, base, dtype=np.uint32), dtype=np.uint32) for base in (_BASE, inverse)
    )


class Text(Feature):
    """The prompt's words, numbers and symbols, and its proportions."""

    def look(self, index_N: np.ndarray, rows: list[dict[str, Any]]) -> Hashed:
        return text_features([prompt_text(row["prompt"]) for row in rows])


def text_features(texts: list[str]) -> Hashed:
    """Features of texts, their n-grams not yet weighted by rarity."""
    parts = [_features_of_chunk(texts[i : i + CHUNK]) for i in range(0, max(len(texts), 1), CHUNK)]
    return Hashed.concatenate(parts)


def _features_of_chunk(texts: list[str]) -> Hashed:
    # A space in front, so that no token starts at byte 0, and one behind each text.
    encoded = [text[:MAX_LENGTH].encode(errors="replace")[:MAX_LENGTH] for text in texts]
    end_N = np.cumsum([len(text) + 1 for text in encoded], dtype=np.int64)
    joined = b" " + b" ".join(encoded) + b" "
    byte_B, kind_B = (np.frombuffer(text, dtype=np.uint8) for text in (joined, joined.translate(_KIND)))
    hash_T, kind_T, first_T, length_T, place_T = _tokens(byte_B, kind_B)
    row_T = np.searchsorted(end_N, place_T, side="right").astype(np.uint32)

    two, three = row_T[1:] == row_T[:-1], row_T[2:] == row_T[:-2]
    pair_T = hash_T[:-1] + hash_T[1:] * _SECOND
    hash_E = np.concatenate([hash_T, pair_T[two], (pair_T[:-1] + hash_T[2:] * _THIRD)[three]])
    row_E = np.concatenate([row_T, row_T[1:][two], row_T[2:][three]])
    start_N, bucket_E, weight_E = grouped(row_E, hash_E, len(texts))
    zeros_N = np.add.reduceat(byte_B == ord("0"), np.append(0, end_N[:-1]), dtype=np.int64)
    number_NK = _proportions(np.diff(end_N, prepend=0), zeros_N, row_T, kind_T, first_T, length_T)
    return Hashed(start_N, bucket_E, weight_E, number_NK)


def _tokens(byte_B: np.ndarray, kind_B: np.ndarray) -> tuple[np.ndarray, ...]:
    """Hash, kind, first byte, length and place of each token."""
    starts_B = kind_B[1:] != kind_B[:-1]
    starts_B |= kind_B[1:] == _SYMBOL
    starts_B &= (kind_B[1:] != _LETTER) | (byte_B[:-1] != ord("\\"))
    place_T = np.flatnonzero(starts_B) + 1
    if len(place_T) == 0:
        return tuple(np.zeros(0, dtype) for dtype in (np.uint32, np.uint8, np.uint8, np.int64, np.int64))
    length_T = np.diff(place_T, append=len(byte_B))
    power_B, inverse_B = _powers()
    hash_T = np.add.reduceat(_BYTE[byte_B] * power_B[: len(byte_B)], place_T, dtype=np.uint32)
    hash_T *= inverse_B[place_T]
    # A run of spaces is a token here: dropped.
    kept = np.flatnonzero(kind_B[place_T] != _SPACE)
    place_T = place_T[kept]
    return hash_T[kept], kind_B[place_T], byte_B[place_T], length_T[kept], place_T


def _proportions(num_bytes_N, zeros_N, row_T, kind_T, first_T, length_T) -> np.ndarray:
    """Logs of the counts of each kind of mark and token, their shares, and the mean length of words.

    Digits that are no zeros are counted apart: 4000 + 3000 is a sum of small numbers.
    """
    num = len(num_bytes_N)
    cell_T = row_T * np.int64(NUM_GROUPS) + _GROUP[first_T]
    count_NK = np.bincount(cell_T, minlength=num * NUM_GROUPS).reshape(num, NUM_GROUPS)
    cell_T = row_T * np.int64(4) + kind_T
    tokens_NK = np.bincount(cell_T, minlength=num * 4).reshape(num, 4)
    letters_NK = np.bincount(cell_T, length_T, minlength=num * 4).reshape(num, 4)
    longest_N = np.zeros(num)
    numbers = np.flatnonzero(kind_T == _DIGIT)
    np.maximum.at(longest_N, row_T[numbers], length_T[numbers])
    counts = [num_bytes_N, tokens_NK[:, _LETTER], tokens_NK[:, _DIGIT], letters_NK[:, _DIGIT], longest_N]
    others_N = np.maximum(letters_NK[:, _DIGIT] - zeros_N, 0)
    counts += [others_N]
    columns = [
        np.log1p(count_NK),
        count_NK / num_bytes_N[:, None],
        np.log1p(np.stack(counts, axis=1)),
        (letters_NK[:, _LETTER] / np.maximum(tokens_NK[:, _LETTER], 1))[:, None],
        (others_N / np.maximum(letters_NK[:, _DIGIT], 1))[:, None],
    ]
    return np.concatenate(columns, axis=1).astype(np.float32)


def pool_texts(pool: PromptPool, index_N: np.ndarray) -> list[str]:
    return [prompt_text(row["prompt"]) for row in pool.take(index_N)]


def prompt_text(prompt: str | list[dict]) -> str:
    """The text of a prompt, or of its messages joined by newlines; empty where it is neither.

    [{"role": "user", "content": "2+2?"}] -> "2+2?"
    """
    if isinstance(prompt, str):
        return prompt
    try:
        return "\n".join(_texts_of(prompt))
    except (TypeError, KeyError, AttributeError):  # no list of messages: it is never rolled out
        return ""


def _texts_of(messages: list[dict]) -> Iterator[str]:
    for message in messages:
        content = message["content"]
        blocks = [{"text": content}] if isinstance(content, str) else content
        yield from (block["text"] for block in blocks if block.get("text"))
