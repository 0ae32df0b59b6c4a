"""Objects of a row's own classes, sent by value: a ListNode is its class's name and its attributes.

A message is {"table": [[class, attributes], ...], "body": ...}. Objects refer to each other by their place in
the table, so a linked list of any length, and one with a cycle, travels flat. The receiver makes objects of
its own class of that name: methods, `__eq__` among them, are never sent.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .channel import pack, unpack

Keep = Callable[[Any], Any]
MAX_RECORDS = 1_000_000


def refuse(value: Any) -> Any:
    """The `keep` or `find` of one who takes plain values only."""
    raise TypeError(f"{type(value).__name__} is not a plain value")


def encode(
    message: Any, names: Sequence[str], keep: Keep, known: Sequence[Any] = ()
) -> tuple[Any, list[Any]]:
    """A message in JSON's terms, and the objects of its table: those `known` first, then as they are met.

    Objects of classes other than `names` are {"object": ["kept", keep(object)]}.
    """
    objects = list(known)
    places = {id(value): place for place, value in enumerate(objects)}

    def refer(value: Any) -> list[Any]:
        if type(value).__name__ not in names or not hasattr(value, "__dict__"):
            return ["kept", keep(value)]
        if id(value) not in places:
            places[id(value)] = len(objects)
            objects.append(value)
        return ["record", places[id(value)]]

    body = pack(message, refer)
    table: list[Any] = []
    while len(table) < len(objects):
        value = objects[len(table)]
        table.append([type(value).__name__, pack(dict(vars(value)), refer)])
        if len(table) > MAX_RECORDS:
            raise TypeError(f"more than {MAX_RECORDS} objects")
    return {"table": table, "body": body}, objects


def decode(
    packed: Any, classes: Mapping[str, type], find: Keep, known: Sequence[Any] = ()
) -> tuple[Any, list[Any]]:
    """The inverse of encode: the message, and the objects of its table, those `known` changed in place.

    A ValueError, TypeError, LookupError or AttributeError where it is no such message.
    """
    table = packed["table"]
    objects = list(known)
    for name, _ in table[len(objects) :]:
        objects.append(object.__new__(classes[name]))

    def resolve(content: Any) -> Any:
        kind, place = content
        return objects[place] if kind == "record" else find(place)

    for value, (_, attributes) in zip(objects, table, strict=True):
        given = unpack(attributes, resolve)
        hidden = [name for name in given if callable(getattr(type(value), name, None))]
        if hidden:
            raise ValueError(f"an attribute that hides the method {hidden[0]!r}")
        vars(value).clear()
        vars(value).update(given)
    return unpack(packed["body"], resolve), objects
