"""Runs a model's program and serves calls of its functions; knows nothing of what the results should be.

A request over the channel is (number, name, arguments, keyword arguments), the reply (number, None, value) or
(number, type of the exception, message). What is no plain value stays here, if request["objects"] allows it
at all; its place in a list and its truth go over the channel instead.
"""

import os
import sys
import types
from functools import partial
from typing import Any

from .channel import encode, receive


def run(request: dict[str, Any], channel: int) -> None:
    """Execute request["program"], then answer until the channel closes."""
    module = types.ModuleType("solution")
    sys.modules["solution"] = module  # dataclasses look their module up
    failure: BaseException | None = None
    try:
        exec(compile(request["program"], "<solution>", "exec"), vars(module))
    except BaseException as error:  # also SystemExit: a program that ends itself has no functions
        failure = error
    kept: list[Any] = []

    def keep(value: Any) -> list[Any]:
        kept.append(value)
        return [len(kept) - 1, bool(value)]

    while True:
        number, name, arguments, keywords = receive(partial(os.read, channel), kept.__getitem__)
        try:
            if failure is not None:
                raise failure
            value = vars(module)[name](*arguments, **keywords)
            reply = encode((number, None, value), keep if request["objects"] else None)
        except BaseException as error:
            reply = encode((number, type(error).__name__, str(error)[:500]))
        while reply:
            reply = reply[os.write(channel, reply) :]
