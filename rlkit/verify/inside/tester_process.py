"""Runs a data set's tests, in which the model's functions are calls to the solution's process.

It writes to its standard output, which the solution does not hold: the number of tests and a line break, then
"1" or "0" for each, then "." when all have run. Nothing is written where the tests themselves are at fault:
they do not parse, their set-up fails, or they test nothing. Until the number is written, nothing of the
solution is called.
"""

import ast
import builtins
import importlib
import os
import sys
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any

from .channel import BrokenChannelError, encode, receive

RECORD = "__record__"
_NEVER_RAISED = (StopIteration, StopAsyncIteration)  # they end a loop of the test as if all had been tested


class SolutionError(Exception):
    """The solution raised what is not one of Python's own exceptions."""


def run(request: dict[str, Any], channel: int) -> None:
    """Run request["tests"] after the code of request["setup"].

    With request["entry_point"] there is one test, HumanEval's, which defines check(candidate): the statements
    of check are the tests. Without, each test is code that calls the solution's functions by their names.
    """
    verdict = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the tests may print

    def record(passed: bool) -> None:
        os.write(verdict, b"1" if passed else b"0")

    call = Caller(channel)
    namespace: dict[str, Any] = {"__name__": "tests", RECORD: record}
    if request["entry_point"] is None:
        tests = _asserts(request, call, namespace)
        num_tests = len(tests)
    else:
        check, num_tests = _check(request, call, namespace)
        tests = [check]
    if not num_tests:
        return
    os.write(verdict, b"%d\n" % num_tests)
    for test in tests:
        test()
    os.write(verdict, b".")


class Caller:
    """Calls of the solution's functions, answered by its process with plain values."""

    def __init__(self, channel: int) -> None:
        self._channel = channel
        self._numbers = count(1)

    def function(self, name: str) -> Callable[..., Any]:
        """A function that has its value computed by the solution's function of this name."""
        return partial(self._call, name)

    def _call(self, name: str, /, *arguments: Any, **keywords: Any) -> Any:
        sent = next(self._numbers)
        request = encode((sent, name, arguments, keywords), _place)
        while request:
            request = request[os.write(self._channel, request) :]
        reply = receive(partial(os.read, self._channel), lambda content: SolutionObject(*content))
        if not (isinstance(reply, tuple) and len(reply) == 3 and reply[0] == sent):
            raise BrokenChannelError("not the reply to this call")
        _, error, value = reply
        if error is None:
            return value
        kind = vars(builtins).get(error) if isinstance(error, str) else None
        if isinstance(kind, type) and issubclass(kind, Exception) and kind not in _NEVER_RAISED:
            raise kind(value)
        raise SolutionError(error, value)


class SolutionObject:
    """Stands for an object of the solution that is no plain value: true or false, equal to nothing else."""

    def __init__(self, place: int, truth: bool) -> None:
        self._place, self._truth = place, truth is True

    def __bool__(self) -> bool:
        return self._truth


def _place(value: Any) -> int:
    if isinstance(value, SolutionObject):
        return value._place
    raise TypeError(f"a test gives the solution a {type(value).__name__}, which is not a plain value")


def _asserts(request: dict[str, Any], call: Caller, namespace: dict[str, Any]) -> list[Callable[[], None]]:
    """MBPP: each test a piece of code; a name that neither tests nor set-up define is the solution's."""
    tree = ast.parse("\n".join(request["tests"]))
    for code in request["setup"]:
        exec(compile(code, "<setup>", "exec"), namespace)
    names = _undefined(tree) - namespace.keys()
    modules = names & sys.stdlib_module_names
    namespace |= {name: importlib.import_module(name) for name in modules}
    functions = (names - modules) or _called_builtins(tree)
    if not names - modules and len(functions) != 1:
        return []
    for name in functions:
        namespace[name] = call.function(name)

    def test(code: Any) -> None:
        try:
            exec(code, namespace)
        except Exception:
            namespace[RECORD](False)
        else:
            namespace[RECORD](True)

    return [partial(test, compile(code, "<test>", "exec")) for code in request["tests"]]


def _called_builtins(tree: ast.AST) -> set[str]:
    """Functions of Python that the code calls: a task of MBPP is to write one's own `sum`."""
    calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    return {node.id for node in calls if isinstance(node, ast.Name)}


def _check(
    request: dict[str, Any], call: Caller, namespace: dict[str, Any]
) -> tuple[Callable[[], None], int]:
    """HumanEval: check(candidate), its statements recorded one by one, and how many there are.

    A statement counts if it asserts something or uses the candidate; `assert True` does not.
    """
    [code] = request["tests"]
    tree = ast.parse(code)
    [check] = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "check"]
    candidate = check.args.args[0].arg
    counted = [statement for statement in check.body if _tests_something(statement, candidate)]
    check.body = [_recorded(statement) if statement in counted else statement for statement in check.body]
    for setup in request["setup"]:
        exec(compile(setup, "<setup>", "exec"), namespace)
    exec(compile(ast.fix_missing_locations(tree), "<test>", "exec"), namespace)
    namespace[request["entry_point"]] = function = call.function(request["entry_point"])
    complete = _undefined(tree) <= namespace.keys()
    return partial(namespace["check"], function), len(counted) if complete else 0


def _tests_something(statement: ast.stmt, candidate: str) -> bool:
    if isinstance(statement, ast.Assert) and isinstance(statement.test, ast.Constant):
        return False
    return any(
        isinstance(node, ast.Assert) or (isinstance(node, ast.Name) and node.id == candidate)
        for node in ast.walk(statement)
    )


def _recorded(statement: ast.stmt) -> ast.stmt:
    """try: statement; except Exception: record(False); else: record(True)."""
    [wrapped] = ast.parse(f"try: 0\nexcept Exception: {RECORD}(False)\nelse: {RECORD}(True)").body
    assert isinstance(wrapped, ast.Try)
    wrapped.body = [statement]
    return wrapped


def _undefined(tree: ast.AST) -> set[str]:
    """Names that the code uses and that neither it nor Python defines."""
    used: set[str] = set()
    defined = set(vars(builtins)) | {RECORD}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            (used if isinstance(node.ctx, ast.Load) else defined).add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            defined.add(node.name)
        elif isinstance(node, ast.arg):
            defined.add(node.arg)
        elif isinstance(node, ast.alias):
            defined.add((node.asname or node.name).partition(".")[0])
        elif isinstance(node, ast.ExceptHandler) and node.name:
            defined.add(node.name)
    return used - defined
