"""Calls of a function with the results expected, given as JSON: tests as run_tests takes them."""

import json
from typing import Any

from rlkit.verify.formats.leetcode_prelude import IMPORTS
from rlkit.verify.formats.task import (
    PROGRAM_SECONDS_FOR_FUNCTIONS,
    FunctionTask,
    Row,
    UnusableRowError,
    row_limits,
)

_SETUP = '''
from json import loads as __loads__

def __plain__(value):
    """As JSON would have it, but for numbers that it lacks."""
    if isinstance(value, (list, tuple)):
        return [__plain__(item) for item in value]
    if isinstance(value, dict):
        return {key if isinstance(key, str) else str(key): __plain__(item) for key, item in value.items()}
    return value

def __close__(value, expected):
    if isinstance(value, list) and isinstance(expected, list):
        return len(value) == len(expected) and all(map(__close__, value, expected))
    if type(value) in (int, float) and type(expected) in (int, float) and __tolerance__ is not None:
        error = abs(value - expected) if abs(expected) < float("inf") else float("inf")
        return value == expected or error <= __tolerance__ * max(1, abs(expected)) < float("inf")
    return value == expected and isinstance(value, bool) == isinstance(expected, bool)

def __right__(value, expected):
    return any(__close__(__plain__(value), __loads__(text)) for text in expected)
'''


def calls_task(row: Row, name: Any, calls: list[tuple[list[Any], list[Any]]]) -> FunctionTask:
    """A task of calls: arguments, and the results that are accepted.

    Tuples count as lists, and numbers within the row's `float_tolerance` as equal. The function may be a
    method of a class Solution. As the data sets' own judges do, the program is given LeetCode's imports, but
    never the function asked for.
    """
    if not isinstance(name, str) or not name.isidentifier():
        raise UnusableRowError(f"the function's name must be an identifier, not {name!r:.40}")
    tests = []
    for given, accepted in calls:
        results = [json.dumps(result) for result in accepted]
        tests.append(f"assert __right__({name}(*__loads__({json.dumps(given)!r})), {results!r})")
    tolerance = f"__tolerance__ = {row.get('float_tolerance')!r}"
    limits = row_limits(row, PROGRAM_SECONDS_FOR_FUNCTIONS)
    given = f"{IMPORTS}globals().pop({name!r}, None)\n"
    return FunctionTask(tests, [_SETUP, tolerance], code_prompt=given, limits=limits)
