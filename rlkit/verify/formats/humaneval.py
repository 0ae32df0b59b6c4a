"""HumanEval and LeetCodeDataset: `test` defines check(candidate) for `entry_point`, such as Solution().f.

`code_prompt` stands before the program, and what it defines is there for the tests: it is the data set's own
`prompt` column, as TRL's prompt has that name. Without it, the prompt itself is taken where it is Python
code; else entry points of a class get LeetCode's names (leetcode_prelude.py).
"""

import ast
from typing import Any

from rlkit.verify.formats.leetcode_prelude import PRELUDE
from rlkit.verify.formats.task import FunctionTask, Row, Task, UnusableRowError

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
    if prompt is None and not entry_point.isidentifier():
        prompt = PRELUDE
    return FunctionTask([test], [prompt] if prompt else [], entry_point, prompt)


def _is_code(prompt: Any) -> bool:
    if not isinstance(prompt, str):
        return False
    try:
        body = ast.parse(prompt).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return any(
        isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef) for node in body
    )
