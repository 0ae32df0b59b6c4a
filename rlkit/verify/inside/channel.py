"""Plain values over a channel that a hostile process may hold the other end of.

A message is the length of its JSON text, four bytes, and that text. A one-key object stands for a type that
JSON lacks: {"tuple": [1, 2]}, {"dict": [["key", "value"]]}. A message decodes to exactly the types below and
to nothing else, whatever its sender wrote: this is why the tester's `==` and `assert` can be trusted.
"""

import json
from collections.abc import Callable
from typing import Any

MAX_MESSAGE_BYTES = 4 * 1024**2
MAX_DEPTH = 100
_JSON_INT_BITS = 64  # a longer integer travels as hex: its decimal digits take quadratic time


class BrokenChannelError(Exception):
    """The other side closed the channel, or sent what is not a message of plain values."""


def pack(value: Any, depth: int = MAX_DEPTH) -> Any:
    """The value as JSON has it; subclasses (of int, dict, ...) become the plain type.

    pack((1, {2})) is {"tuple": [1, {"set": [2]}]}. A TypeError names a type that is not plain, or says that
    the value is nested more than MAX_DEPTH deep.
    """
    if value is None or isinstance(value, bool | float | str):
        return value
    if isinstance(value, int):
        return value if value.bit_length() <= _JSON_INT_BITS else {"int": hex(value)}
    if isinstance(value, complex):
        return {"complex": [value.real, value.imag]}
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if depth == 0:
        raise TypeError(f"a value nested more than {MAX_DEPTH} deep")
    if isinstance(value, list):
        return [pack(item, depth - 1) for item in value]
    if isinstance(value, dict):
        return {"dict": [[pack(key, depth - 1), pack(item, depth - 1)] for key, item in value.items()]}
    for kind in (tuple, set, frozenset):
        if isinstance(value, kind):
            return {kind.__name__: [pack(item, depth - 1) for item in value]}
    raise TypeError(f"{type(value).__name__} is not a plain value")


def unpack(packed: Any) -> Any:
    """The inverse of pack, for any JSON; a ValueError, TypeError or OverflowError where it is no packing."""
    if isinstance(packed, list):
        return [unpack(item) for item in packed]
    if not isinstance(packed, dict):
        return packed
    [(kind, content)] = packed.items()
    if kind not in _UNPACK:
        raise ValueError(f"unknown kind of value {kind!r:.40}")
    return _UNPACK[kind](content)


_UNPACK: dict[str, Callable[[Any], Any]] = {
    "int": lambda content: int(content, 16),
    "complex": lambda content: complex(*map(float, content)),
    "bytes": bytes.fromhex,
    "dict": lambda content: {unpack(key): unpack(item) for key, item in content},
    "tuple": lambda content: tuple(map(unpack, content)),
    "set": lambda content: set(map(unpack, content)),
    "frozenset": lambda content: frozenset(map(unpack, content)),
}


def encode(message: Any) -> bytes:
    """A message as bytes; a TypeError as in pack."""
    text = json.dumps(pack(message)).encode()
    return len(text).to_bytes(4, "big") + text


def receive(read: Callable[[int], bytes]) -> Any:
    """The next message; `read(n)` gives up to n bytes, none where the channel is closed.

    BrokenChannelError if there is none: the channel closed, the length exceeds MAX_MESSAGE_BYTES, or the
    content is not a packing of plain values.
    """
    length = int.from_bytes(_read_exactly(read, 4), "big")
    if length > MAX_MESSAGE_BYTES:
        raise BrokenChannelError(f"a message of {length} bytes, more than {MAX_MESSAGE_BYTES}")
    try:
        return unpack(json.loads(_read_exactly(read, length)))
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise BrokenChannelError(f"not a message of plain values: {error}") from error


def _read_exactly(read: Callable[[int], bytes], num_bytes: int) -> bytes:
    parts: list[bytes] = []
    while num_bytes:
        part = read(min(num_bytes, 1 << 20))
        if not part:
            raise BrokenChannelError("the channel closed")
        parts.append(part)
        num_bytes -= len(part)
    return b"".join(parts)
