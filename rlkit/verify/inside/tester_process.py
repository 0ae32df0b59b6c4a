"""Runs a data set's tests, in which the model's functions are calls to the solution's process.

It writes lines to its standard output, which the solution does not hold: the number of tests, then "1" or
"0 why" for each, then "." when all have run. "!why" is written where the tests themselves are at fault: they
do not parse, their set-up fails, or they test nothing. Until the number is written, nothing of the solution
is called.
"""

import ast
import builtins
import importlib
import os
import symtable
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from .remote import Caller

RECORD = "__record__"
_MAX_WHY = 300


class UnusableTestsError(Exception):
    """The row's tests cannot be run, whatever the solution; the text says why."""


class StopTestingError(BaseException):
    """The first test has failed, and the others do not matter."""


def run(request: dict[str, Any], channel: int) -> None:
    """Run request["tests"] after the code of request["setup"]; with request["stop"] up to the first failure.

    With request["entry_point"] there is one test, HumanEval's, which defines check(candidate): the statements
    of check are the tests. Without, each test is code that calls the solution's functions by their names.
    """
    verdict = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the tests may print

    def write(line: str) -> None:
        os.write(verdict, (line.replace("\n", " ") + "\n").encode(errors="replace"))

    def record(test: str, error: Exception | None = None) -> None:
        write("1" if error is None else f"0 {_told(error)} at {test}"[:_MAX_WHY])
        if error is not None and request["stop"]:
            raise StopTestingError

    namespace: dict[str, Any] = {"__name__": "tests", RECORD: record}
    try:
        for code in request["setup"]:
            exec(compile(code, "<setup>", "exec"), namespace)
        prepare = _asserts if request["entry_point"] is None else _check
        tests, num_tests = prepare(request, Caller(channel, _classes(request, namespace)), namespace)
    except Exception as error:
        write(f"!{_told(error)}"[:_MAX_WHY])
        return
    write(str(num_tests))
    try:
        for test in tests:
            test()
    except StopTestingError:
        pass
    except Exception as error:  # of a statement between the tests, as of a stack that is no stack
        write(f"0 {_told(error)} at a statement between the tests"[:_MAX_WHY])
        return
    write(".")


def _told(error: Exception) -> str:
    return str(error) if isinstance(error, UnusableTestsError) else f"{type(error).__name__}: {error}"[:200]


def _classes(request: dict[str, Any], namespace: dict[str, Any]) -> dict[str, type]:
    """The row's own classes that go by value."""
    return {name: namespace[name] for name in request["classes"] if isinstance(namespace.get(name), type)}


def _asserts(
    request: dict[str, Any], call: Caller, namespace: dict[str, Any]
) -> tuple[list[Callable[[], None]], int]:
    """MBPP: each test a piece of code; a name that neither tests nor set-up define is the solution's."""
    source = "\n".join(request["tests"])
    names = _undefined(source) - namespace.keys()
    modules = names & sys.stdlib_module_names
    namespace |= {name: importlib.import_module(name) for name in modules}
    functions = dict(request["functions"]) or {
        name: name for name in names - modules or _called_builtins(ast.parse(source))
    }
    if not (request["functions"] or names - modules) and len(functions) != 1:
        raise UnusableTestsError("the tests call no function of the program")
    for name, there in functions.items():
        namespace[name] = call.function(there)

    def test(source: str, code: Any) -> None:
        try:
            exec(code, namespace)
        except Exception as error:
            namespace[RECORD](source, error)
        else:
            namespace[RECORD](source)

    tests = [partial(test, code, compile(code, "<test>", "exec")) for code in request["tests"]]
    return tests, len(tests)


def _called_builtins(tree: ast.AST) -> set[str]:
    """Functions of Python that the code calls: a task of MBPP is to write one's own `sum`."""
    calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    return {node.id for node in calls if isinstance(node, ast.Name)}


def _check(
    request: dict[str, Any], call: Caller, namespace: dict[str, Any]
) -> tuple[list[Callable[[], None]], int]:
    """HumanEval: check(candidate), its statements recorded one by one, and how many there are.

    A statement counts if it asserts something or uses the candidate; `assert True` does not.
    """
    [code] = request["tests"]
    tree = ast.parse(code)
    checks = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "check"]
    if len(checks) != 1 or not checks[0].args.args:
        raise UnusableTestsError("the test does not define check(candidate)")
    [check] = checks
    candidate = check.args.args[0].arg
    tests_something = [_tests_something(statement, candidate) for statement in check.body]
    if not any(tests_something):
        raise UnusableTestsError("check(candidate) tests nothing")
    lines = code.split("\n")
    check.body = [
        _recorded(statement, lines[statement.lineno - 1].strip()[:_MAX_WHY]) if testing else statement
        for statement, testing in zip(check.body, tests_something, strict=True)
    ]
    compile(request["entry_point"], "<entry_point>", "eval")
    root = request["entry_point"].partition(".")[0].partition("(")[0]
    exec(compile(tree, "<test>", "exec"), namespace)
    function = call.function(request["entry_point"])
    namespace[root] = function if root == request["entry_point"] else call.function(root)
    missing = sorted(_undefined(code) - namespace.keys())
    if missing:
        raise UnusableTestsError(
            f"the test uses {', '.join(missing)}, which neither it nor the row's code_prompt defines"
        )
    return [partial(namespace["check"], function)], sum(tests_something)


def _tests_something(statement: ast.stmt, candidate: str) -> bool:
    if isinstance(statement, ast.Assert) and isinstance(statement.test, ast.Constant):
        return False
    return any(
        isinstance(node, ast.Assert) or (isinstance(node, ast.Name) and node.id == candidate)
        for node in ast.walk(statement)
    )


def _recorded(statement: ast.stmt, source: str) -> ast.stmt:
    """try: statement; except Exception as error: record(source, error); else: record(source)."""
    [wrapped] = ast.parse(
        f"try: 0\nexcept Exception as {RECORD}e: {RECORD}({source!r}, {RECORD}e)\nelse: {RECORD}({source!r})"
    ).body
    assert isinstance(wrapped, ast.Try)
    wrapped.body = [statement]
    return wrapped


def _undefined(code: str) -> set[str]:
    """Names that the code uses and that neither it nor Python defines."""
    used: set[str] = set()
    defined = {*vars(builtins), RECORD}
    tables = [symtable.symtable(code, "<test>", "exec")]
    while tables:
        table = tables.pop()
        tables += table.get_children()
        for symbol in table.get_symbols():
            if symbol.is_assigned() or symbol.is_imported() or symbol.is_parameter() or symbol.is_namespace():
                defined.add(symbol.get_name())
            elif symbol.is_referenced():
                used.add(symbol.get_name())
    return used - defined
