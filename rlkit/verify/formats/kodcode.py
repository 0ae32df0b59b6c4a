"""KodCode: a `test` of pytest functions that import from `solution`.

pytest itself is not in the sandbox; a stand-in has raises, approx and mark.parametrize.
"""

import ast
from collections.abc import Iterator

from rlkit.verify.formats.task import (
    PROGRAM_SECONDS_FOR_FUNCTIONS,
    FunctionTask,
    Row,
    Task,
    UnusableRowError,
    row_limits,
)
from rlkit.verify.formats.values import from_json
from rlkit.verify.syntax import parse_code

COLUMNS = ("test", "test_info")
_PYTEST = "import sys\nfrom inside import pytest_stand_in\nsys.modules['pytest'] = pytest_stand_in\n"


def parse(row: Row) -> Task:
    """The row's task: each test function, or method of a class Test..., is a test."""
    try:
        tree = parse_code(row["test"])
    except (SyntaxError, TypeError, ValueError) as error:
        raise UnusableRowError(f"test is not Python that parses: {error}") from error
    tests = list(_tests(tree))
    imports = _Imports()
    definitions = ast.unparse(imports.visit(tree))
    functions = imports.functions
    if "*" in functions:
        functions = {name: name for name in _function_names(row)}
    if not tests or not functions:
        raise UnusableRowError("test must define functions test_... and import from solution what they test")
    limits = row_limits(row, PROGRAM_SECONDS_FOR_FUNCTIONS)
    return FunctionTask(tests, [_PYTEST, definitions], functions=functions, limits=limits)


def _tests(tree: ast.Module) -> Iterator[str]:
    """Calls of the tests that a module defines."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test"):
            wanted = [argument.arg for argument in node.args.args]
            if len(wanted) > len(node.args.defaults) and not node.decorator_list:
                raise UnusableRowError(f"{node.name} takes pytest's fixtures ({', '.join(wanted)})")
            yield f"{node.name}()"
        if isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            methods = (each for each in node.body if isinstance(each, ast.FunctionDef))
            yield from (f"{node.name}().{each.name}()" for each in methods if each.name.startswith("test"))


class _Imports(ast.NodeTransformer):
    """Takes the imports of `solution` out, wherever they stand: `functions` are the names and what they mean.

    After `import solution`, solution.f has the name solution__f.
    """

    def __init__(self) -> None:
        self.functions: dict[str, str] = {}
        self._modules: set[str] = set()

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        if node.module != "solution":
            return node
        self.functions |= {alias.asname or alias.name: alias.name for alias in node.names}
        return ast.Pass()

    def visit_Import(self, node: ast.Import) -> ast.AST:
        self._modules |= {alias.asname or alias.name for alias in node.names if alias.name == "solution"}
        node.names = [alias for alias in node.names if alias.name != "solution"]
        return node if node.names else ast.Pass()

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        if isinstance(node.value, ast.Name) and node.value.id in self._modules:
            self.functions[f"{node.value.id}__{node.attr}"] = node.attr
            return ast.Name(f"{node.value.id}__{node.attr}", node.ctx)
        return self.generic_visit(node)


def _function_names(row: Row) -> list[str]:
    infos = from_json(row["test_info"], "test_info")
    if not isinstance(infos, list) or not all(
        isinstance(info, dict) and isinstance(info.get("function_name"), str) for info in infos
    ):
        raise UnusableRowError(f"test_info must be a list of objects with function_name, not {infos!r:.40}")
    return [info["function_name"] for info in infos]
