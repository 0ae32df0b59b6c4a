"""What a row asks of a program, whatever its format: calls of functions, or outputs for inputs."""

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from rlkit.verify.cases import Cases, judge
from rlkit.verify.code import complete, run_tests
from rlkit.verify.compare_outputs import Comparison
from rlkit.verify.outcome import Outcome, unusable
from rlkit.verify.sandbox import Limits

Row = dict[str, Any]
PROGRAM_SECONDS_FOR_CASES, PROGRAM_SECONDS_FOR_FUNCTIONS = 60.0, 10.0


class UnusableRowError(ValueError):
    """A row's tests cannot be used; the text names the column and what is wrong with it."""


@dataclass(frozen=True)
class Settings:
    """How code is graded, where the row does not say it, or against what it says.

    Args:
        case_seconds: a case's own time and processor time; None: the row's `time_limit`, else 10.
        program_seconds: of all tests of a program; None: the row's `program_time_limit`, else 10 for
            functions and 60 for inputs and outputs.
        max_cases: of so many inputs, chosen by `seed`, a program's output is judged; None: of all.
        seed: for the choice, which is the same for all completions of a row.
    """

    case_seconds: float | None = None
    program_seconds: float | None = None
    max_cases: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("case_seconds", "program_seconds", "max_cases"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ValueError(f"{name} must be positive, or None for the row's own, not {value}")


@dataclass(frozen=True)
class FunctionTask:
    """Tests that call a function, as run_tests takes them; `code_prompt` stands before the program."""

    tests: list[str]
    setup: list[str]
    entry_point: str | None = None
    code_prompt: str | None = None
    functions: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)

    def grade(self, code: str, language: str, settings: Settings, all_or_nothing: bool) -> Outcome:
        """The outcome of a program for these tests."""
        if language != "python":
            return Outcome(0, 1, f"the row's tests call Python functions; the program is {language}")
        seconds = settings.program_seconds or self.limits.wall_seconds
        limits = replace(self.limits, wall_seconds=seconds, cpu_seconds=math.ceil(seconds))
        program = (
            code if self.code_prompt is None else complete(code, self.entry_point or "", self.code_prompt)
        )
        return run_tests(
            program, self.tests, self.setup, self.entry_point, limits, all_or_nothing, self.functions
        )


@dataclass(frozen=True)
class CasesTask:
    """Inputs and outputs, as judge takes them."""

    cases: Cases
    limits: Limits

    def grade(self, code: str, language: str, settings: Settings, all_or_nothing: bool) -> Outcome:
        """The outcome of a program for these cases."""
        case_seconds = settings.case_seconds or self.limits.case_seconds or self.limits.wall_seconds
        limits = replace(
            self.limits,
            case_seconds=case_seconds,
            cpu_seconds=math.ceil(case_seconds) + 1,
            wall_seconds=settings.program_seconds or self.limits.wall_seconds,
        )
        if not self.cases.inputs:
            return unusable("the row has no cases")
        return judge(code, _some(self.cases, settings), all_or_nothing, limits, language)


Task = FunctionTask | CasesTask


def _some(cases: Cases, settings: Settings) -> Cases:
    """At most settings.max_cases of the cases, in their order."""
    if settings.max_cases is None or len(cases.inputs) <= settings.max_cases:
        return cases
    chosen = random.Random(settings.seed).sample(range(len(cases.inputs)), settings.max_cases)
    places = sorted(chosen)
    return replace(
        cases, inputs=[cases.inputs[i] for i in places], outputs=[cases.outputs[i] for i in places]
    )


def cases_task(row: Row, inputs: list[Any], outputs: list[Any]) -> CasesTask:
    """A task of inputs and outputs, with what the row's optional columns say of comparison and limits.

    An input may be a list of lines; an output a text, or a list of accepted ones where `outputs_are_accepted`
    is not needed to tell: lists of texts are accepted outputs.
    """
    if len(inputs) != len(outputs):
        raise UnusableRowError(f"the row has {len(inputs)} inputs and {len(outputs)} outputs")
    tolerance, checker = row.get("float_tolerance"), row.get("checker")
    if not isinstance(tolerance, int | float | None) or isinstance(tolerance, bool):
        raise UnusableRowError(f"float_tolerance must be a number such as 1e-6, not {tolerance!r:.40}")
    if not isinstance(checker, str | None):
        raise UnusableRowError(f"checker must be the text of a Python program, not {checker!r:.40}")
    comparison = Comparison(tolerance, bool(row.get("ignore_case")))
    texts = [text(one, "an input") for one in inputs]
    accepted = [
        [text(each, "an output") for each in one] if isinstance(one, list) else text(one, "an output")
        for one in outputs
    ]
    return CasesTask(
        Cases(texts, accepted, comparison, checker or None), row_limits(row, PROGRAM_SECONDS_FOR_CASES)
    )


def row_limits(row: Row, program_seconds: float) -> Limits:
    """The limits that a row names: time_limit (seconds a case), program_time_limit, memory_limit (MB).

    A memory limit below that of Limits is not kept: what is limited is address space, of which Python takes
    more than it uses.
    """
    memory = row.get("memory_limit_bytes") or 1024**2 * (row.get("memory_limit") or 0)
    if not isinstance(memory, int | float):
        raise UnusableRowError(f"memory_limit must be a number of MB, not {memory!r:.40}")
    return Limits(
        wall_seconds=_seconds(row.get("program_time_limit"), "program_time_limit") or program_seconds,
        case_seconds=_seconds(row.get("time_limit"), "time_limit") or 10.0,
        memory_bytes=max(Limits.memory_bytes, int(memory)),
    )


def _seconds(value: Any, column: str) -> float | None:
    """2, 2.5, "2 seconds", or CodeContests' {"seconds": 2, "nanos": 0}."""
    if isinstance(value, dict):
        value = (value.get("seconds") or 0) + (value.get("nanos") or 0) / 1e9
    if isinstance(value, str):
        value = value.split()[0] if value.split() else None
    try:
        seconds = None if value is None else float(value)
    except (TypeError, ValueError):
        raise UnusableRowError(f"{column} must be a number of seconds, not {value!r:.40}") from None
    return seconds or None


def text(value: Any, what: str) -> str:
    """A text, or lines joined to one."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        return "\n".join(value)
    raise UnusableRowError(f"{what} must be text, not {value!r:.40}")
