"""The tester's stand-ins for the solution's functions and objects: each use is a call over the channel."""

import builtins
import os
from collections.abc import Callable, Mapping
from functools import partial
from itertools import count
from typing import Any

from .channel import MAX_REPLY_BYTES, BrokenChannelError, frame, receive
from .records import decode, encode

_NEVER_RAISED = (StopIteration, StopAsyncIteration)  # they end a loop of the test as if all had been tested


class SolutionError(Exception):
    """The solution raised what is not one of Python's own exceptions."""


class Caller:
    """Calls of the solution's functions, answered by its process with plain values and the row's records."""

    def __init__(self, channel: int, classes: Mapping[str, type]) -> None:
        self._channel, self._classes = channel, classes
        self._numbers = count(1)

    def function(self, what: str) -> Callable[..., Any]:
        """A function that has its value computed by what this expression means in the solution."""
        return partial(self.call, what)

    def call(self, what: Any, /, *arguments: Any, **keywords: Any) -> Any:
        """The value of what(*arguments, **keywords); arguments change in place where it is None."""
        sent = next(self._numbers)
        packed, given = encode((sent, what, arguments, keywords), list(self._classes), _place)
        request = frame(packed)
        while request:
            request = request[os.write(self._channel, request) :]

        def decoded(reply: Any) -> Any:
            _, _, value, changed = reply["body"]["tuple"]
            in_place = value is None and changed is not None
            return decode(reply, self._classes, self._stand_in, given if in_place else ())[0]

        reply = receive(partial(os.read, self._channel), decoded, MAX_REPLY_BYTES)
        if not (isinstance(reply, tuple) and len(reply) == 4 and reply[0] == sent):
            raise BrokenChannelError("not the reply to this call")
        _, error, value, changed = reply
        if error is not None:
            raise _error(error, value)
        if changed is not None and value is None:
            positional, named = changed
            for before, after in zip(arguments, positional, strict=True):
                _change(before, after)
            for name, before in keywords.items():
                _change(before, named[name])
        return value

    def attribute(self, of: "SolutionObject", name: str) -> Any:
        if any(hasattr(kind, name) for kind in self._classes.values()):
            raise AttributeError(
                f"{name!r} is of the row's own classes, and this is an object of another one"
            )
        return self.call((of, name))

    def _stand_in(self, content: Any) -> "SolutionObject":
        return SolutionObject(self, *content)


class SolutionObject:
    """Stands for an object of the solution that is no plain value: true or false, equal to nothing else.

    Its public attributes and methods are those of the object: design problems build one and call it in turn.
    """

    def __init__(self, caller: Caller, place: int, truth: bool) -> None:
        self._caller, self._place, self._truth = caller, place, truth is True

    def __bool__(self) -> bool:
        return self._truth

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        return self._caller.call(self, *arguments, **keywords)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # NumPy and copy ask for such: what they get they trust
            raise AttributeError(name)
        return self._caller.attribute(self, name)


def _place(value: Any) -> int:
    if isinstance(value, SolutionObject):
        return value._place
    raise TypeError(f"a test gives the solution a {type(value).__name__}, which is not a plain value")


def _error(name: Any, message: Any) -> Exception:
    kind = vars(builtins).get(name) if isinstance(name, str) else None
    if isinstance(kind, type) and issubclass(kind, Exception) and kind not in _NEVER_RAISED:
        return kind(message)
    return SolutionError(name, message)


def _change(old: Any, new: Any) -> None:
    """Give a list, set or dict the content of another one."""
    if isinstance(old, list) and isinstance(new, list):
        old[:] = new
    elif isinstance(old, set | dict) and type(old) is type(new):
        old.clear()
        old.update(new)
