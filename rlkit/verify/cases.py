"""Is a program's output right for given inputs? A process a case (runner.py).

The program never sees an expected output: it is compared here, or by a checker in a sandbox of its own.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from rlkit.verify.compare_outputs import Comparison
from rlkit.verify.inside.watch import NotRunError
from rlkit.verify.languages import NoCompilerError, ProgramDoesNotCompileError, Runnable, runnable
from rlkit.verify.outcome import Outcome, not_run, unusable
from rlkit.verify.runner import Runner
from rlkit.verify.sandbox import Limits

_CHECKER = Limits(wall_seconds=600.0, case_seconds=10.0)
_RIGHT, _WRONG = ("1", "1.0", "true", "yes", "ok", "accepted"), ("0", "0.0", "false", "no")


@dataclass(frozen=True)
class Cases:
    """Inputs and what is to come out: an expected output each, or several accepted ones.

    `checker` is a Python program that judges instead of a comparison. Its arguments are the paths of input,
    expected output and output; it prints 1 (right) or 0 (wrong) and nothing else, or prints nothing and exits
    with 0 where the output is right.
    """

    inputs: Sequence[str]
    outputs: Sequence[str | Sequence[str]]
    comparison: Comparison = field(default_factory=Comparison)
    checker: str | None = None


def run_cases(
    program: str,
    inputs: Sequence[str],
    outputs: Sequence[str],
    all_or_nothing: bool = False,
    limits: Limits | None = None,
) -> Outcome:
    """As judge, of a Python program whose outputs are compared but for white space at the ends of lines."""
    return judge(program, Cases(inputs, outputs), all_or_nothing, limits)


def judge(
    program: str,
    cases: Cases,
    all_or_nothing: bool = False,
    limits: Limits | None = None,
    language: str = "python",
) -> Outcome:
    """Run a program once for each input; a case fails with an exit code other than 0 too.

    All cases share limits.wall_seconds, in the program's own time, and each has limits.case_seconds, of its
    own and of processor time. With `all_or_nothing` the first case that fails is the last one run. ValueError
    if there is no sandbox.
    """
    try:
        made = runnable(program, language, limits or Limits())
        with Runner(program, made) as runner, ExitStack() as stack:
            checker = None
            if cases.checker is not None:
                checker = stack.enter_context(Runner(cases.checker, Runnable(_CHECKER), "checker"))
                if not checker.compiles():
                    return unusable("the row's checker is not Python that compiles")
            return _judge(runner, cases, checker, all_or_nothing)
    except ProgramDoesNotCompileError as error:
        return Outcome(0, len(cases.inputs), f"the program does not compile: {error}")
    except (OSError, NotRunError, NoCompilerError) as error:
        return not_run(error)


def _judge(runner: Runner, cases: Cases, checker: Runner | None, all_or_nothing: bool) -> Outcome:
    total = len(cases.inputs)
    if total and not runner.compiles():
        return Outcome(0, total, "the program does not compile")
    passed, why = 0, None
    tested = 0
    results = runner.run_all(cases.inputs)
    for result, given, expected in zip(results, cases.inputs, cases.outputs, strict=False):
        tested += 1
        wrong = result.error or _wrong(result.output, given, expected, cases, checker)
        if wrong is None:
            passed += 1
            continue
        why = why or f"case {tested}: {wrong}"
        if all_or_nothing:
            break
    else:
        if tested < total:
            why = why or f"case {tested + 1}: the time of all cases is over"
    return Outcome(passed, total, why)


def _wrong(
    output: str, given: str, expected: str | Sequence[str], cases: Cases, checker: Runner | None
) -> str | None:
    if checker is None:
        if cases.comparison.same(output, expected):
            return None
        return f"{output[:80]!r} where {expected!r:.80} is expected"
    wanted = expected if isinstance(expected, str) else "\n".join(expected)
    verdict = checker.run("", [given, wanted, output])
    said = verdict.output.strip().lower()  # more than one word may hold what the program printed
    if verdict.error is None and (not said or said in _RIGHT):
        return None
    reason = "" if said in _WRONG else f" ({said[:80]!r}, {verdict.error})"
    return f"the checker rejects {output[:80]!r}{reason}"
