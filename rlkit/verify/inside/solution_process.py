"""Runs a model's program and serves calls of its functions; knows nothing of what the results should be.

A request over the channel is (number, what, arguments, keyword arguments). `what` is an expression such as
"f" or "Solution().f", evaluated anew for each call, or an object that stayed here, or (object, name) for its
attribute. The reply is (number, None, value, arguments as changed or None) or (number, type of the exception,
message, None). Objects of the row's own classes go by value (records.py); what else is no plain value stays
here, if request["objects"] allows it at all; its place in a list and its truth go over the channel instead.
Changed arguments are sent where a function returns None: that is how one that works in place is known.
"""

import os
import re
import sys
import types
from functools import partial
from typing import Any

from .channel import MAX_REQUEST_BYTES, frame, receive
from .records import decode, encode, refuse

RECURSION_LIMIT = 50_000  # recursive solutions of large inputs; the stack is large enough (confine.py)
_LEETCODE_CLASS = "Solution"


def run(request: dict[str, Any], channel: int) -> None:
    """Execute request["program"], then answer until the channel closes."""
    module = types.ModuleType("solution")
    sys.modules["solution"] = module  # dataclasses look their module up
    sys.setrecursionlimit(RECURSION_LIMIT)
    failure: BaseException | None = None
    try:
        exec(compile(request["program"], "<solution>", "exec"), vars(module))
    except BaseException as error:  # also SystemExit: a program that ends itself has no functions
        failure = error
    kept: list[Any] = []

    def keep(value: Any) -> list[Any]:
        kept.append(value)
        return [len(kept) - 1, bool(value)]

    answers = _Answers(module, request["classes"], kept)
    while True:
        packed = receive(partial(os.read, channel), lambda message: message, MAX_REQUEST_BYTES)
        try:
            if failure is not None:
                raise failure
            reply = frame(answers.answer(packed, keep if request["objects"] else refuse))
        except BaseException as error:
            number = packed["body"]["tuple"][0]
            reply = frame(encode((number, type(error).__name__, str(error)[:500], None), (), refuse)[0])
        while reply:
            reply = reply[os.write(channel, reply) :]


class _Answers:
    def __init__(self, module: types.ModuleType, names: list[str], kept: list[Any]) -> None:
        self._module, self._names, self._kept = module, names, kept

    def answer(self, packed: Any, keep: Any) -> Any:
        """The reply to a request, in JSON's terms."""
        classes = {name: vars(self._module)[name] for name in self._names if name in vars(self._module)}
        message, given = decode(packed, classes, self._kept.__getitem__)
        number, what, arguments, keywords = message
        is_attribute = isinstance(what, tuple)
        value = getattr(*what) if is_attribute else self._function(what)(*arguments, **keywords)
        if value is not None or not (arguments or keywords):
            return encode((number, None, value, None), self._names, keep)[0]
        return encode((number, None, None, (arguments, keywords)), self._names, keep, given)[0]

    def _function(self, what: Any) -> Any:
        """What an expression means in the program; "f" may be a method of the class Solution."""
        if not isinstance(what, str):
            return what
        namespace = vars(self._module)
        root = re.match(r"\w*", what)[0]  # type: ignore[index]
        if root in namespace:
            return namespace[root] if root == what else eval(what, namespace)
        if root == what and _LEETCODE_CLASS in namespace:
            return getattr(namespace[_LEETCODE_CLASS](), what)
        raise KeyError(f"the program does not define {root}")
