"""Is a program right? Its functions against a data set's tests, or its output for given inputs, in sandboxes.

Functions: the program runs in one sandbox and serves calls, the tests run in another one and hold stand-ins
that make these calls (inside/solution_process.py, inside/tester_process.py). Only plain values come back, so
nothing that a program patches, overrides or prints reaches the asserts, and the expected results are never in
reach of the program. Inputs and outputs: cases.py.
"""

import ast
import os
import re
import socket
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait

from rlkit.verify.case_sandbox import Stock, stock
from rlkit.verify.cases import run_cases
from rlkit.verify.inside.watch import NotRunError
from rlkit.verify.languages import language_name
from rlkit.verify.outcome import Outcome, not_run, unusable
from rlkit.verify.sandbox import Limits, Sandboxed, isolation, start, watch_of
from rlkit.verify.syntax import parse_code

__all__ = ["Outcome", "complete", "in_parallel", "last_code_block", "last_program", "run_cases", "run_tests"]

_FENCE = re.compile(r"^[ \t]*```[ \t]*([\w+-]*)[^\n]*\n(.*?)(?:^[ \t]*```|\Z)", re.MULTILINE | re.DOTALL)

_FUTURE = re.compile(r"^from __future__ import .*\n", re.MULTILINE)  # stands before all else


def last_code_block(text: str) -> str:
    """The last block fenced as Python, else the last one without a language, else the whole text.

    A block that is not closed (a truncated completion) reaches to the end.
    last_code_block("So:\n```python\nx = 1\n```\nDone.") is "x = 1\n".
    """
    return last_program(text, "python")[1]


def last_program(text: str, language: str | None) -> tuple[str, str]:
    """As last_code_block, for a language of languages.py: its name and the code.

    Without one it is Python's, unless only blocks of others are fenced with their names.
    last_program("```cpp\nint main() {}\n```", None) is ("cpp", "int main() {}\n").
    """
    blocks = [(name, code) for name, code in _FENCE.findall(text.replace("\r\n", "\n"))]
    named = [(language_name(name), code) for name, code in blocks if language_name(name)]
    for wanted in [language] if language else ["python", *(name for name, _ in reversed(named))]:
        chosen = [code for name, code in named if name == wanted]
        if chosen:
            return wanted or "python", chosen[-1]
    unnamed = [code for name, code in blocks if not name]
    return language or "python", unnamed[-1] if unnamed else "" if blocks else text


def complete(code: str, entry_point: str, code_prompt: str | None) -> str:
    """A whole program: the prompt's code, then either the function or class again or what continues it."""
    if code_prompt is None:
        return code
    root = re.escape(re.match(r"\w*", entry_point)[0])  # type: ignore[index]
    future, code = "".join(_FUTURE.findall(code)), _FUTURE.sub("", code)
    whole = re.search(rf"^((async[ \t]+)?def|class)[ \t]+{root}\b", code, re.MULTILINE)
    return future + (f"{code_prompt}\n{code}" if whole else code_prompt + code)


def run_tests(
    program: str,
    tests: Sequence[str],
    setup: Sequence[str] = (),
    entry_point: str | None = None,
    limits: Limits | None = None,
    all_or_nothing: bool = False,
    functions: Mapping[str, str] | None = None,
) -> Outcome:
    """Run tests of a program's functions, after the set-up code, within one wall time for all.

    With an `entry_point` the one test defines check(candidate), as HumanEval's, and its statements count;
    without, each test is code with asserts, as MBPP's. The entry point may be called on the way to a method:
    "Solution().f" makes an instance a call. Classes that the set-up defines go by value between tests and
    program, if the program has them too. `functions`: further names, in the set-up too, that stand for
    functions of the program, and what they are there. With `all_or_nothing` the first test that fails is the
    last one run. ValueError if there is no sandbox.
    """
    limits = limits or Limits()
    classes = _classes(setup, entry_point)
    testing = {
        "tests": list(tests),
        "setup": list(setup),
        "entry_point": entry_point,
        "functions": dict(functions or {}),
        "classes": classes,
        "stop": all_or_nothing,
    }
    serving = {"program": program, "objects": True, "classes": classes}
    try:
        ours, theirs = socket.socketpair()
        with (
            ours,
            theirs,
            tempfile.TemporaryFile() as verdict,
            start("solution_process", serving, limits, theirs) as solution,
            start("tester_process", testing, limits, ours, stdout=verdict) as tester,
        ):
            ours.close()
            theirs.close()
            exceeded = _wait_for_end(tester, solution, limits)
            verdict.seek(0)
            return _outcome(verdict.read().decode(errors="replace"), exceeded)
    except (OSError, NotRunError) as error:
        return not_run(error)


def in_parallel(jobs: Iterable[Callable[[], Outcome]]) -> list[Outcome]:
    """The jobs' outcomes, with as many at a time as there are cores for this process.

    ValueError if there is no sandbox.
    """
    isolation()
    sandboxes = Stock()
    num_threads = len(os.sched_getaffinity(0))
    with ThreadPoolExecutor(num_threads, initializer=stock.set, initargs=(sandboxes,)) as pool:
        outcomes = [pool.submit(job) for job in jobs]
        try:
            return [outcome.result() for outcome in outcomes]
        finally:  # also Ctrl-C: what waits must not run
            for outcome in outcomes:
                outcome.cancel()
            wait(outcomes)
            sandboxes.close()


def _classes(setup: Sequence[str], entry_point: str | None) -> list[str]:
    """The classes that the set-up defines, but for the one to be written."""
    names: list[str] = []
    for code in setup:
        try:
            body = parse_code(code).body
        except (SyntaxError, ValueError, RecursionError, MemoryError):  # the tester says so
            continue
        names += [statement.name for statement in body if isinstance(statement, ast.ClassDef)]
    root = re.match(r"\w*", entry_point or "")[0]  # type: ignore[index]
    return [name for name in dict.fromkeys(names) if name != root]


def _wait_for_end(tester: Sandboxed, solution: Sandboxed, limits: Limits) -> str | None:
    """What limit was exceeded before the tester ended; a NotRunError where a sandbox did not start."""
    pidfd = os.pidfd_open(tester.process.pid)
    try:
        watch_of([tester, solution], limits.wall_seconds).wait(pidfd)
    except TimeoutError as error:
        return str(error)
    finally:
        os.close(pidfd)
    tester.check_started()
    solution.check_started()
    return None


def _outcome(verdict: str, exceeded: str | None) -> Outcome:
    """What the tester wrote: the lines 3, 1, 0 why, 1 and . are two of three."""
    if verdict.startswith("!"):
        return unusable(verdict[1:].strip())
    total, *marks = verdict.split("\n")[:-1] or [""]
    if not total:
        why = exceeded or "the tests ended before the first one"
        return Outcome(0, 1, why) if exceeded else unusable(why)
    passed = marks.count("1")
    why = next((mark[2:] for mark in marks if mark.startswith("0")), exceeded)
    if "." in marks:
        return Outcome(passed, int(total), why)
    return Outcome(min(passed, int(total) - 1), int(total), why or "the tests ended before the last one")
