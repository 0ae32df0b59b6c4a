"""Copies for user code, which may change what it is given: nothing of it is shared with anything else.

A value that cannot change is its own copy, so that a row of text and numbers costs next to nothing.
"""

import copy
from collections.abc import Callable, Mapping
from typing import Any

ATOMS = frozenset({str, int, float, bool, complex, bytes, type(None)})
"""Classes whose values cannot change."""
LIVE = frozenset({"environments", "trainer_state", "log_extra", "log_metric"})
"""What TRL gives to rewards for them to act on: these are never copied."""
DATA_LIBRARIES = frozenset({"numpy", "torch", "PIL"})
"""Packages whose objects are data; those of other classes may be handles of something that runs."""


def own(value: Any, other: Callable[[Any], Any] | None = None) -> Any:
    """A copy that shares nothing that can change.

    Args:
        other: copies what is neither a plain value nor a list, tuple, set or dict. Default: a deep copy, or
            the object itself where it has none (a lock, a connection).
    """
    kind = type(value)
    if kind in ATOMS:
        return value
    if kind is list:
        return value.copy() if ATOMS.issuperset(map(type, value)) else [own(item, other) for item in value]
    if kind is dict:
        return {key: own(item, other) for key, item in value.items()}
    if kind in (tuple, set):
        return kind(own(item, other) for item in value)
    return (other or _deep_copy)(value)


def own_arguments(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Keyword arguments of a reward: data is copied, what runs is handed on."""
    return {name: value if name in LIVE else own_data(value) for name, value in columns.items()}


def own_data(value: Any) -> Any:
    """As `own`, but an object that may be a handle of something that runs stays itself."""
    return own(value, _copied_data)


def _copied_data(value: Any) -> Any:
    library = type(value).__module__.partition(".")[0]
    return _deep_copy(value) if library in DATA_LIBRARIES or isinstance(value, list | dict | set) else value


def _deep_copy(value: Any) -> Any:
    try:
        return copy.deepcopy(value)
    except TypeError:  # "cannot pickle": a lock, a connection, a decoder of video
        return value
