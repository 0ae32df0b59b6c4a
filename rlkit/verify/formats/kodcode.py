"""KodCode: a `test` of pytest functions that import from `solution`.

pytest itself is not in the sandbox; a stand-in has raises, approx and mark.parametrize.
"""

import ast

from rlkit.verify.formats.task import (
    PROGRAM_SECONDS_FOR_FUNCTIONS,
    FunctionTask,
    Row,
    Task,
    UnusableRowError,
    row_limits,
)

COLUMNS = ("test", "test_info")
_PYTEST = "import sys\nfrom inside import pytest_stand_in\nsys.modules['pytest'] = pytest_stand_in\n"


def parse(row: Row) -> Task:
    """The row's task: each test function is a test."""
    try:
        tree = ast.parse(row["test"])
    except (SyntaxError, TypeError, ValueError) as error:
        raise UnusableRowError(f"test is not Python that parses: {error}") from error
    tests = [
        node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test")
    ]
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module == "solution"]
    functions = {alias.asname or alias.name: alias.name for node in imports for alias in node.names}
    if "*" in functions:
        functions = {info["function_name"]: info["function_name"] for info in row.get("test_info") or []}
    if not tests or not functions:
        raise UnusableRowError("test must define functions test_... and import from solution what they test")
    definitions = "\n".join(ast.unparse(node) for node in tree.body if node not in imports)
    limits = row_limits(row, PROGRAM_SECONDS_FOR_FUNCTIONS)
    return FunctionTask(
        [f"{name}()" for name in tests], [_PYTEST, definitions], functions=functions, limits=limits
    )
