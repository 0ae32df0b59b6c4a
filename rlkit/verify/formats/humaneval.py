"""HumanEval and LeetCodeDataset: `test` defines check(candidate) for `entry_point`, such as Solution().f.

`code_prompt` stands before the program, and what it defines is there for the tests: it is the data set's own
`prompt` column, as TRL's prompt has that name. Without it, the prompt itself is taken where it is Python
code; else entry points of a class, and tests that use LeetCode's helpers, get what LeetCode gives
(leetcode_prelude.py).
"""

import ast
from typing import Any

from rlkit.verify.formats.leetcode_prelude import HELPERS, PRELUDE
from rlkit.verify.formats.task import (
    PROGRAM_SECONDS_FOR_FUNCTIONS,
    FunctionTask,
    Row,
    Task,
    UnusableRowError,
    row_limits,
)
from rlkit.verify.syntax import parse_code

COLUMNS = ("test", "entry_point")


def parse(row: Row) -> Task:
    """The row's task."""
    test, entry_point, prompt = row["test"], row["entry_point"], row.get("code_prompt")
    for name, value, kinds in (
        ("test", test, str),
        ("entry_point", entry_point, str),
        ("code_prompt", prompt, str | None),
    ):
        if not isinstance(value, kinds):
            raise UnusableRowError(f"{name} must be text, not {value!r:.40}")
    if prompt is None and _is_code(row.get("prompt")):
        prompt = row["prompt"]
    if prompt is None and (_is_of_a_class(entry_point) or _names(test) & HELPERS):
        prompt = PRELUDE
    limits = row_limits(row, PROGRAM_SECONDS_FOR_FUNCTIONS)
    return FunctionTask([test], [prompt] if prompt else [], entry_point, prompt, limits=limits)


def _is_of_a_class(entry_point: str) -> bool:
    return not entry_point.isidentifier() or entry_point[:1].isupper()


def _parsed(code: Any) -> list[ast.stmt]:
    try:
        return parse_code(code).body if isinstance(code, str) else []
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []


def _is_code(prompt: Any) -> bool:
    kinds = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)
    return any(isinstance(node, kinds) for node in _parsed(prompt))


def _names(code: str) -> set[str]:
    nodes = (node for statement in _parsed(code) for node in ast.walk(statement))
    return {node.id for node in nodes if isinstance(node, ast.Name)}
