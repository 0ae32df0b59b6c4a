"""MBPP: asserts in `test_list`, after `test_imports` and `test_setup_code`."""

from rlkit.verify.formats.task import (
    PROGRAM_SECONDS_FOR_FUNCTIONS,
    FunctionTask,
    Row,
    Task,
    UnusableRowError,
    row_limits,
)

COLUMNS = ("test_list",)


def parse(row: Row) -> Task:
    """The row's task."""
    tests, imports, setup = row["test_list"], row.get("test_imports") or [], row.get("test_setup_code") or ""
    for name, value in (("test_list", tests), ("test_imports", imports)):
        if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
            raise UnusableRowError(f"{name} must be a list of texts, not {value!r:.40}")
    if not isinstance(setup, str):
        raise UnusableRowError(f"test_setup_code must be text, not {setup!r:.40}")
    limits = row_limits(row, PROGRAM_SECONDS_FOR_FUNCTIONS)
    return FunctionTask(tests, [*imports, setup], limits=limits)
