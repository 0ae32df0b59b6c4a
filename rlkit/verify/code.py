"""Is a program right? Its functions against a data set's tests, or its output for given inputs, in sandboxes.

Functions: the program runs in one sandbox and serves calls, the tests run in another one and hold stand-ins
that make these calls (inside/solution_process.py, inside/tester_process.py). Only plain values come back, so
nothing that a program patches, overrides or prints reaches the asserts, and the expected results are never in
reach of the program. Inputs and outputs: a fresh sandbox a case, compared here.
"""

import os
import re
import socket
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from rlkit.verify.sandbox import Limits, isolation, start, wait

_FENCE = re.compile(r"^[ \t]*```[ \t]*([\w+-]*)[^\n]*\n(.*?)(?:^[ \t]*```|\Z)", re.MULTILINE | re.DOTALL)
_PYTHON = ("python", "py", "python3")


@dataclass(frozen=True)
class Outcome:
    """How many tests a program passed, of how many; of none if the tests themselves are unusable."""

    passed: int
    total: int

    def reward(self, share: bool) -> float | None:
        """The share passed, or 1.0 only for all; None where there was nothing to pass."""
        if not self.total:
            return None
        return self.passed / self.total if share else float(self.passed == self.total)


def last_code_block(text: str) -> str:
    """The last block fenced as Python, else the last one without a language, else the whole text.

    A block that is not closed (a truncated completion) reaches to the end.
    last_code_block("So:\n```python\nx = 1\n```\nDone.") is "x = 1\n".
    """
    blocks = _FENCE.findall(text.replace("\r\n", "\n"))
    for languages in (_PYTHON, ("",)):
        chosen = [code for language, code in blocks if language.lower() in languages]
        if chosen:
            return chosen[-1]
    return "" if blocks else text


def complete(code: str, entry_point: str, code_prompt: str | None) -> str:
    """A HumanEval program: the prompt's code, then either the whole function again or what continues it."""
    if code_prompt is None:
        return code
    whole = re.search(rf"^(async[ \t]+)?def[ \t]+{re.escape(entry_point)}\b", code, re.MULTILINE)
    return f"{code_prompt}\n{code}" if whole else code_prompt + code


def run_tests(
    program: str,
    tests: Sequence[str],
    setup: Sequence[str] = (),
    entry_point: str | None = None,
    limits: Limits | None = None,
) -> Outcome:
    """Run tests of a program's functions, after the set-up code, within one wall time for all.

    With an `entry_point` the one test defines check(candidate), as HumanEval's, and its statements count;
    without, each test is code with asserts, as MBPP's. ValueError if there is no sandbox.
    """
    limits = limits or Limits()
    deadline = time.monotonic() + limits.wall_seconds
    request = {"tests": list(tests), "setup": list(setup), "entry_point": entry_point}
    ours, theirs = socket.socketpair()
    with (
        ours,
        theirs,
        tempfile.TemporaryFile() as verdict,
        start("solution_process", {"program": program, "objects": True}, limits, theirs) as solution,
        start("tester_process", request, limits, ours, stdout=verdict) as tester,
    ):
        ours.close()
        theirs.close()
        ended = _wait_for_end(tester.pid, deadline, [tester, solution])
        verdict.seek(0)
        return _outcome(verdict.read().decode(), ended)


def run_cases(
    program: str,
    inputs: Sequence[str],
    outputs: Sequence[str],
    all_or_nothing: bool = False,
    limits: Limits | None = None,
) -> Outcome:
    """Run a program once for each input and compare its output, but for white space at the ends of lines.

    A case fails with an exit code other than 0 too. All cases share one wall time. With `all_or_nothing` the
    first case that fails is the last one run. ValueError if there is no sandbox.
    """
    limits = limits or Limits()
    deadline = time.monotonic() + limits.wall_seconds
    passed = 0
    for given, expected in zip(inputs, outputs, strict=True):
        output = _output(program, given, deadline, limits)
        if output is not None and _lines(output) == _lines(expected):
            passed += 1
        elif all_or_nothing or time.monotonic() >= deadline:
            break
    return Outcome(passed, len(inputs))


def in_parallel(jobs: Iterable[Callable[[], Outcome]]) -> list[Outcome]:
    """The jobs' outcomes, with as many at a time as there are cores for this process.

    ValueError if there is no sandbox.
    """
    isolation()
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        try:
            return list(pool.map(lambda job: job(), jobs))
        except BaseException:  # also Ctrl-C: what waits must not run
            pool.shutdown(cancel_futures=True)
            raise


def _wait_for_end(pid: int, deadline: float, processes: Sequence) -> bool:
    """Whether a process of ours ended by itself, before it or the others exceeded their limits."""
    pidfd = os.pidfd_open(pid)
    try:
        wait(pidfd, deadline, processes)
    except TimeoutError:
        return False
    finally:
        os.close(pidfd)
    return True


def _outcome(verdict: str, ended: bool) -> Outcome:
    """What the tester wrote: "3\\n101." is two of three; nothing, if it ended, no test that can be run."""
    total, _, marks = verdict.partition("\n")
    if not total:
        return Outcome(0, 0 if ended else 1)
    passed = marks.count("1")
    return Outcome(passed if marks.endswith(".") else min(passed, int(total) - 1), int(total))


def _output(program: str, given: str, deadline: float, limits: Limits) -> str | None:
    with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as stdout:
        stdin.write(given.encode(errors="replace"))
        stdin.seek(0)
        with start("program_process", {"program": program}, limits, stdin=stdin, stdout=stdout) as process:
            if not _wait_for_end(process.pid, deadline, [process]) or process.wait() != 0:
                return None
        stdout.seek(0)
        return stdout.read(limits.file_bytes).decode(errors="replace")


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.rstrip().split("\n")]
