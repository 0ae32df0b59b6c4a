"""APPS and TACO: `input_output`, a JSON text with the lists `inputs` and `outputs`, and perhaps `fn_name`."""

from typing import Any

from rlkit.verify.formats.calls import calls_task
from rlkit.verify.formats.task import Row, Task, UnusableRowError, cases_task
from rlkit.verify.formats.values import from_json

COLUMNS = ("input_output",)


def parse(row: Row) -> Task:
    """The row's task. A function's result may stand alone in a list, as it does in many rows of APPS."""
    given = from_json(row["input_output"], "input_output")
    if not isinstance(given, dict):
        raise UnusableRowError(f"input_output must be an object with inputs and outputs, not {given!r:.40}")
    inputs, outputs = given.get("inputs"), given.get("outputs")
    if not isinstance(inputs, list) or not isinstance(outputs, list):
        raise UnusableRowError("input_output must hold the lists inputs and outputs")
    if given.get("fn_name") is None:
        return cases_task(row, inputs, [_joined(one) for one in outputs])
    if len(inputs) != len(outputs):
        raise UnusableRowError(f"input_output has {len(inputs)} inputs and {len(outputs)} outputs")
    calls = [(_arguments(one), _accepted(out)) for one, out in zip(inputs, outputs, strict=True)]
    return calls_task(row, given["fn_name"], calls)


def _joined(output: Any) -> Any:
    """An output as a list is one of lines."""
    return "\n".join(map(str, output)) if isinstance(output, list) else output


def _arguments(given: Any) -> list[Any]:
    if not isinstance(given, list):
        raise UnusableRowError(f"an input of a function must be a list of arguments, not {given!r:.40}")
    return given


def _accepted(output: Any) -> list[Any]:
    return [output, output[0]] if isinstance(output, list) and len(output) == 1 else [output]
