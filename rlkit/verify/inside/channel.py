"""Plain values over a channel that a hostile process may hold the other end of.

A message is the length of its JSON text, four bytes, and that text. A one-key object stands for a type that
JSON lacks: {"tuple": [1, 2]}, {"dict": [["key", "value"]]}. A message decodes to exactly the types below,
whatever its sender wrote: this is why the tester's `==` and `assert` can be trusted.
"""

import json
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

MAX_MESSAGE_BYTES = 4 * 1024**2  # where nothing else limits the receiver's memory
MAX_REPLY_BYTES, MAX_REQUEST_BYTES = 16 * 1024**2, 64 * 1024**2  # in a sandbox
MAX_DEPTH = 100
_JSON_INT_BITS = 64  # a longer integer travels as hex: its decimal digits take quadratic time


class BrokenChannelError(Exception):
    """The other side closed the channel, or sent what is not a message of plain values."""


def pack(value: Any, keep: Callable[[Any], Any] | None = None, depth: int = MAX_DEPTH) -> Any:
    """The value as JSON has it; subclasses (of int, dict, ...) and NumPy's scalars become the plain type.

    pack((1, {2})) is {"tuple": [1, {"set": [2]}]}. Any other object becomes {"object": keep(object)}; without
    `keep` it is a TypeError, as is a value nested more than MAX_DEPTH deep.
    """
    if value is None or isinstance(value, bool | float | str):
        return value
    if isinstance(value, int):
        return value if value.bit_length() <= _JSON_INT_BITS else {"int": hex(value)}
    if isinstance(value, complex):
        return {"complex": [value.real, value.imag]}
    if isinstance(value, bytes | bytearray):
        return {"bytes": value.hex()}
    if isinstance(value, range):
        return {"range": [value.start, value.stop, value.step]}
    if isinstance(value, type) and _TYPES.get(value.__name__) is value:
        return {"type": value.__name__}
    if depth == 0:
        raise TypeError(f"a value nested more than {MAX_DEPTH} deep")

    def each(items: Iterable[Any]) -> list[Any]:
        items = list(items)
        if _is_json(items):
            return items
        return [pack(item, keep, depth - 1) for item in items]

    if isinstance(value, list):
        return each(value)
    if isinstance(value, dict):
        return {"dict": [each(item) for item in value.items()]}
    for name, kind in _COLLECTIONS.items():
        if isinstance(value, kind):
            return {name: each(value)}
    if type(value).__module__ == "numpy" and getattr(value, "shape", None) == ():
        return pack(value.item(), keep, depth - 1)
    if keep is None:
        raise TypeError(f"{type(value).__name__} is not a plain value")
    return {"object": keep(value)}


def _is_json(items: list[Any]) -> bool:
    """Whether all items are scalars as JSON has them: then a long list takes no Python code an item."""
    kinds = set(map(type, items))
    if kinds == {int}:
        return max(max(items), -min(items)).bit_length() < _JSON_INT_BITS
    return kinds <= {str, float, bool, type(None)}


def unpack(packed: Any, find: Callable[[Any], Any] | None = None) -> Any:
    """The inverse of pack, for any JSON; {"object": x} becomes find(x).

    A ValueError, TypeError, LookupError or OverflowError where it is no packing.
    """
    if isinstance(packed, list):
        if {dict, list}.isdisjoint(map(type, packed)):
            return list(packed)
        return [unpack(item, find) for item in packed]
    if not isinstance(packed, dict):
        return packed
    [(kind, content)] = packed.items()
    if kind == "dict":
        return {unpack(key, find): unpack(item, find) for key, item in content}
    if kind in _COLLECTIONS:
        return _COLLECTIONS[kind](unpack(item, find) for item in content)
    if kind == "object" and find is not None:
        return find(content)
    return _SCALARS[kind](content)


_COLLECTIONS = {kind.__name__: kind for kind in (tuple, set, frozenset, deque)}
_TYPES = {
    kind.__name__: kind
    for kind in (bool, int, float, complex, str, bytes, list, tuple, dict, set, frozenset, type(None))
}
_SCALARS: dict[str, Callable[[Any], Any]] = {
    "int": lambda content: int(content, 16),
    "complex": lambda content: complex(*map(float, content)),
    "bytes": bytes.fromhex,
    "range": lambda content: range(*content),
    "type": lambda content: _TYPES[content],
}


def frame(packed: Any) -> bytes:
    """What pack gave, as the bytes of a message."""
    text = json.dumps(packed).encode()
    return len(text).to_bytes(4, "big") + text


def encode(message: Any, keep: Callable[[Any], Any] | None = None) -> bytes:
    """A message as bytes; a TypeError as in pack."""
    return frame(pack(message, keep))


def receive(
    read: Callable[[int], bytes],
    decode: Callable[[Any], Any] = unpack,
    max_bytes: int = MAX_MESSAGE_BYTES,
) -> Any:
    """The next message; `read(n)` gives up to n bytes, none where the channel is closed.

    BrokenChannelError if there is none: the channel closed, the length exceeds `max_bytes`, or the content is
    not a packing of plain values.
    """
    length = int.from_bytes(_read_exactly(read, 4), "big")
    if length > max_bytes:
        raise BrokenChannelError(f"a message of {length} bytes, more than {max_bytes}")
    try:
        return decode(json.loads(_read_exactly(read, length)))
    except (ValueError, TypeError, LookupError, OverflowError, RecursionError, AttributeError) as error:
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
