"""CodeContests: public_tests, private_tests and generated_tests, objects of the lists input and output."""

from typing import Any

from rlkit.verify.formats.task import Row, Task, UnusableRowError, cases_task
from rlkit.verify.formats.values import from_json

COLUMNS = ("public_tests", "private_tests")
_TESTS = ("public_tests", "private_tests", "generated_tests")


def parse(row: Row) -> Task:
    """The row's task: all its tests, public ones first."""
    inputs: list[Any] = []
    outputs: list[Any] = []
    for column in _TESTS:
        tests = from_json(row.get(column), column) or {}
        if not isinstance(tests, dict):
            raise UnusableRowError(f"{column} must be an object with input and output, not {tests!r:.40}")
        inputs += tests.get("input") or []
        outputs += tests.get("output") or []
    return cases_task(row, inputs, outputs)
