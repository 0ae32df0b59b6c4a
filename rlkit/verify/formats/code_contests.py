"""CodeContests: public_tests, private_tests and generated_tests, objects of the lists input and output.

Some copies have lists of objects with an input and an output instead.
"""

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
        if isinstance(tests, list) and all(isinstance(test, dict) for test in tests):
            tests = {key: [test.get(key) for test in tests] for key in ("input", "output")}
        if not isinstance(tests, dict):
            raise UnusableRowError(f"{column} must be an object with input and output, not {tests!r:.40}")
        for key, all_of_them in (("input", inputs), ("output", outputs)):
            if not isinstance(tests.get(key) or [], list):
                raise UnusableRowError(f"{column}.{key} must be a list, not {tests[key]!r:.40}")
            all_of_them += tests.get(key) or []
    return cases_task(row, inputs, outputs)
