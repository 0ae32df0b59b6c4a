"""The data sets' formats: which columns a row of each has, and the task that it sets."""

from rlkit.verify.formats import (
    apps,
    code_contests,
    codeforces,
    humaneval,
    kodcode,
    live_code_bench,
    mbpp,
    stdin_stdout,
)
from rlkit.verify.formats.task import Row, Settings, Task, UnusableRowError

FORMATS = {
    "humaneval": (humaneval.COLUMNS, humaneval.parse),
    "kodcode": (kodcode.COLUMNS, kodcode.parse),
    "mbpp": (mbpp.COLUMNS, mbpp.parse),
    "live_code_bench": (live_code_bench.COLUMNS, live_code_bench.parse),
    "code_contests": (code_contests.COLUMNS, code_contests.parse),
    "apps": (apps.COLUMNS, apps.parse),
    "codeforces": (codeforces.COLUMNS, codeforces.parse),
    "test_cases": (codeforces.COLUMNS_OF_OTHERS, codeforces.parse),
    "stdin_stdout": (stdin_stdout.COLUMNS, stdin_stdout.parse),
}
"""Name -> the columns that a row has and how it is read; the first of which all are filled is the row's."""

__all__ = ["FORMATS", "Row", "Settings", "Task", "UnusableRowError", "format_of", "task_of"]


def format_of(row: Row) -> str:
    """The name of a row's format; an UnusableRowError names the columns that there are."""
    for name, (columns, _) in FORMATS.items():
        if all(row.get(column) is not None for column in columns):
            return name
    filled = sorted(name for name, value in row.items() if value is not None)
    known = "; ".join(f"{name}: {', '.join(columns)}" for name, (columns, _) in FORMATS.items())
    raise UnusableRowError(f"no known format has the columns {filled}; known are {known}")


def task_of(row: Row, name: str | None = None) -> Task:
    """What a row asks, by the format of this name or by its columns; an UnusableRowError says why not."""
    _, parse = FORMATS[name or format_of(row)]
    return parse(row)
