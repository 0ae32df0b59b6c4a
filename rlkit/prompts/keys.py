"""A prompt's key: a hash of its whole row, so that rows which differ in any column are two prompts.

A row is written as bytes and hashed (blake2b, 64 bits). Text is UTF-8, in which 0xC0, 0xC1 and 0xF5 to 0xFF
never occur: they mark where a value of which kind begins, so that no two rows are written alike. Columns and
keys of dicts are sorted, and one that is None is left out, as `Dataset.from_list` puts None where a row lacks
a column. Bytes stand there by their own hash, and a picture by its bytes, or by its path where it has none. A
`datasets.Dataset` is written a slice of its Arrow columns at a time, past any transform; a number in a column
of both kinds may be a float there and an int in a list of dicts.
"""

import pickle
from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b
from operator import itemgetter
from struct import pack
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rlkit.prompts.rows import SLICE, Rows

KEY, TEXT, INTEGER, LARGE, FLOAT, TRUE, FALSE, NOTHING, BYTES, LIST, DICT, OTHER, END = (
    bytes([byte]) for byte in (0xC0, 0xC1, *range(0xF5, 0x100))
)
PICTURE = {"bytes", "path"}
"""Fields of a picture as `datasets.Image` stores it."""
DIGEST = 16
"""Bytes of the hash that stands for bytes within a row."""

Parts = list[bytes | pa.Array]
"""What is written one after the other: constants, and arrays of an item a row, without holes."""


def prompt_keys(rows: Rows) -> np.ndarray:
    """64-bit keys of the rows, (N,) uint64: the same for a list of dicts and a `Dataset` of them."""
    written = _written_table if hasattr(rows, "with_format") else _written_rows
    table = rows.with_format("arrow") if hasattr(rows, "with_format") else rows  # type: ignore[attr-defined]
    digests = []
    for first in range(0, len(rows), SLICE):
        part = written(table, first, min(first + SLICE, len(rows)))
        digests.append(b"".join([blake2b(row, digest_size=8).digest() for row in part]))
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)


def unique_prompts(key_N: np.ndarray) -> np.ndarray:
    """Positions of the first row of each key, in order. [7, 9, 7] -> [0, 1]"""
    return np.sort(np.unique(key_N, return_index=True)[1])


def _written_rows(rows: Any, first: int, last: int) -> list[bytes]:
    return [_fields(rows[row]) for row in range(first, last)]


def _written_table(rows: Any, first: int, last: int) -> list[bytes]:
    table = rows[first:last].combine_chunks()
    columns = {name: table[name].combine_chunks() for name in table.column_names}
    return _joined(_field_parts(columns), last - first).to_pylist()


# ---------------------------------------------------------------------------------------------------------
# Python values


@lru_cache(1024)
def _keys(names: tuple[Any, ...]) -> list[tuple[Any, bytes]]:
    """The names of fields in order, with what is written before their values."""
    return sorted(((name, KEY + str(name).encode()) for name in names), key=itemgetter(1))


def _fields(values: Mapping[Any, Any]) -> bytes:
    fields = _keys(tuple(values))
    return b"".join([key + _written(values[name]) for name, key in fields if values[name] is not None])


def _written(value: Any) -> bytes:
    if isinstance(value, str):
        return TEXT + value.encode("utf-8", "surrogatepass")
    if value is None:
        return NOTHING
    if isinstance(value, bool | np.bool_):
        return TRUE if value else FALSE
    if isinstance(value, int | np.integer):
        return INTEGER + pack("<q", value) if -(2**63) <= value < 2**63 else LARGE + str(value).encode()
    if isinstance(value, float | np.floating):
        return FLOAT + pack("<d", value)
    if isinstance(value, Mapping):
        if value.keys() == PICTURE:
            return _written(value["path"] if value["bytes"] is None else value["bytes"])
        return DICT + _fields(value) + END
    if isinstance(value, list | tuple):
        return LIST + b"".join(map(_written, value)) + END
    return _written_object(value)


def _written_object(value: Any) -> bytes:
    if isinstance(value, bytes | bytearray | memoryview):
        return BYTES + _digest(value)
    if isinstance(value, np.ndarray):
        return _written(value.tolist())
    if isinstance(value, set | frozenset):
        return LIST + b"".join(sorted(map(_written, value))) + END
    if path := getattr(value, "filename", None):  # a picture of PIL that is read from a file
        return _written(str(path))
    try:
        return OTHER + _digest(pickle.dumps(value, protocol=4))
    except (pickle.PicklingError, TypeError, AttributeError):  # such as a lambda: told apart in this run only
        return OTHER + _digest(repr(value).encode())


def _digest(value: Any) -> bytes:
    return blake2b(value, digest_size=DIGEST).hexdigest().encode()


# ---------------------------------------------------------------------------------------------------------
# Arrow columns


def _field_parts(columns: Mapping[str, pa.Array]) -> Parts:
    """Named columns as the fields of a dict."""
    parts: Parts = []
    for name in sorted(columns):
        column, key = columns[name], KEY + name.encode()
        if column.null_count == 0:
            parts += [key, *_parts(column)]
        elif column.null_count < len(column):
            written = _joined([key, *_parts(column.drop_null())], len(column) - column.null_count)
            parts.append(_spread(written, column.is_valid(), b""))
    return parts


def _parts(array: pa.Array) -> Parts:
    """An array without holes."""
    kind = array.type
    if isinstance(array, pa.ExtensionArray):
        return _parts(array.storage)
    if pa.types.is_dictionary(kind):
        return _parts(array.dictionary_decode())
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return [TEXT, array.cast(pa.binary())]
    if pa.types.is_integer(kind) and not pa.types.is_uint64(kind):
        return [INTEGER, _as_bytes(array.cast(pa.int64()))]
    if pa.types.is_floating(kind):
        return [FLOAT, _as_bytes(array.cast(pa.float64()))]
    if pa.types.is_boolean(kind):
        return [pc.if_else(array, TRUE, FALSE)]  # type: ignore[attr-defined]
    if pa.types.is_struct(kind):
        return _struct_parts(array)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return [LIST, _list_items(array), END]
    return [pa.array([_written(value) for value in array.to_pylist()], pa.binary())]


def _struct_parts(array: pa.Array) -> Parts:
    fields = dict(zip([field.name for field in array.type], array.flatten(), strict=True))
    if fields.keys() == PICTURE:  # a Python object a picture, and none of its bytes is copied
        pictures = zip(fields["bytes"], fields["path"], strict=True)
        return [pa.array([_written_picture(*picture) for picture in pictures], pa.binary())]
    return [DICT, *_field_parts(fields), END]


def _written_picture(data: pa.Scalar, path: pa.Scalar) -> bytes:
    return BYTES + _digest(data.as_buffer()) if data.is_valid else _written(path.as_py())


def _list_items(array: pa.Array) -> pa.Array:
    """The items of each list, written one after the other."""
    items = array.flatten()
    present = items.drop_null() if items.null_count else items
    written = _joined(_parts(present), len(present))
    if items.null_count:
        written = _spread(written, items.is_valid(), NOTHING)
    ends = np.cumsum(pc.list_value_length(array).to_numpy(zero_copy_only=False))  # type: ignore[attr-defined]
    offsets = pa.array(np.concatenate([[0], ends]), pa.int32())
    return pc.binary_join(pa.ListArray.from_arrays(offsets, written), b"")  # type: ignore[attr-defined]


def _as_bytes(array: pa.Array) -> pa.Array:
    """Numbers of 8 bytes as these."""
    return array.view(pa.binary(8)).cast(pa.binary())


def _joined(parts: Parts, num: int) -> pa.Array:
    """An item a row, (num,)."""
    merged: Parts = []
    for part in parts:
        if merged and isinstance(part, bytes) and isinstance(merged[-1], bytes):
            merged[-1] += part
        else:
            merged.append(part)
    if not any(isinstance(part, pa.Array) for part in merged):
        return pa.array([b"".join(merged)] * num, pa.binary())  # type: ignore[arg-type]
    return pc.binary_join_element_wise(*merged, b"")  # type: ignore[attr-defined]


def _spread(written: pa.Array, valid: pa.Array, hole: bytes) -> pa.Array:
    """The items where `valid`, in order, and `hole` elsewhere."""
    position = np.cumsum(valid.to_numpy(zero_copy_only=False)) - 1
    return pc.if_else(valid, written.take(pa.array(np.maximum(position, 0))), hole)  # type: ignore[attr-defined]
