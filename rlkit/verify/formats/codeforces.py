"""Lists of cases: open-r1's Codeforces rows (`official_tests`), and rows with `test_cases`.

A `generated_checker` is a checker program as cases.py has it.
"""

from typing import Any

from rlkit.verify.formats.task import Row, Task, UnusableRowError, cases_task
from rlkit.verify.formats.values import from_json

COLUMNS = ("official_tests",)
COLUMNS_OF_OTHERS = ("test_cases",)


def parse(row: Row) -> Task:
    """The row's task; `examples` where there are no official tests."""
    column = next((name for name in ("official_tests", "test_cases", "examples") if row.get(name)), None)
    tests: Any = from_json(row[column], column) if column else []
    if not isinstance(tests, list) or not all(
        isinstance(test, dict) and {"input", "output"} <= test.keys() for test in tests
    ):
        raise UnusableRowError(f"{column} must be a list of objects with input and output")
    checked = row | {"checker": row.get("checker") or row.get("generated_checker")}
    return cases_task(checked, [test["input"] for test in tests], [test["output"] for test in tests])
