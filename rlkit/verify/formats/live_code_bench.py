"""LiveCodeBench: public_test_cases and private_test_cases, lists of {input, output, testtype}.

They are JSON texts; the private ones are base64(zlib(pickle(JSON text))) in the published files. Functions
(testtype "functional") have their name in `metadata`, one JSON value a line for their arguments, and a JSON
value for the result.
"""

import json
from typing import Any

from rlkit.verify.formats.calls import calls_task
from rlkit.verify.formats.task import Row, Task, UnusableRowError, cases_task
from rlkit.verify.formats.values import from_json, unpacked

COLUMNS = ("public_test_cases", "private_test_cases")


def parse(row: Row) -> Task:
    """The row's task: all its tests, public ones first."""
    tests = [test for column in COLUMNS for test in _tests(row.get(column), column)]
    kinds = {test.get("testtype") for test in tests}
    if kinds <= {"stdin", None}:
        return cases_task(row, [test["input"] for test in tests], [test["output"] for test in tests])
    if kinds != {"functional"}:
        raise UnusableRowError(f"testtype must be the same for all tests, not {sorted(map(str, kinds))}")
    metadata = from_json(row.get("metadata") or "{}", "metadata")
    name = metadata.get("func_name") if isinstance(metadata, dict) else None
    return calls_task(row, name, [_call(test) for test in tests])


def _tests(value: Any, column: str) -> list[dict[str, Any]]:
    if isinstance(value, str) and not value.lstrip().startswith("["):
        value = unpacked(value, column)
    tests = from_json(value, column) or []
    if not isinstance(tests, list) or not all(
        isinstance(test, dict) and isinstance(test.get("input"), str) and isinstance(test.get("output"), str)
        for test in tests
    ):
        raise UnusableRowError(f"{column} must be a list of objects with the texts input and output")
    return tests


def _call(test: dict[str, Any]) -> tuple[list[Any], list[Any]]:
    try:
        arguments = [json.loads(line) for line in test["input"].split("\n") if line.strip()]
        return arguments, [json.loads(test["output"])]
    except ValueError as error:
        raise UnusableRowError(f"a functional test is not JSON: {error}") from error
