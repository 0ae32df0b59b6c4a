"""Rows with `inputs` and `outputs`: lists, or JSON texts of lists as rStar-Coder's, also for `func_name`."""

from rlkit.verify.formats.calls import calls_task
from rlkit.verify.formats.task import Row, Task, UnusableRowError, cases_task
from rlkit.verify.formats.values import from_json

COLUMNS = ("inputs", "outputs")


def parse(row: Row) -> Task:
    """The row's task. An output that is a list holds several accepted ones."""
    inputs, outputs = from_json(row["inputs"], "inputs"), from_json(row["outputs"], "outputs")
    if not isinstance(inputs, list) or not isinstance(outputs, list):
        raise UnusableRowError("inputs and outputs must be lists")
    if not row.get("func_name"):
        return cases_task(row, inputs, outputs)
    if len(inputs) != len(outputs) or not all(isinstance(given, list) for given in inputs):
        raise UnusableRowError("inputs must be lists of arguments, as many as there are outputs")
    calls = [(given, [expected]) for given, expected in zip(inputs, outputs, strict=True)]
    return calls_task(row, row["func_name"], calls)
