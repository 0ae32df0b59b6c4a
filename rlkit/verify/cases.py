"""Is a program's output right for given inputs? One sandbox, a process a case (inside/case_server.py).

The program never sees an expected output: it is compared here, or by a checker in a sandbox of its own.
"""

import json
import math
import os
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

from rlkit.verify.compare_outputs import Comparison
from rlkit.verify.inside.watch import PATIENCE, SECONDS_TO_START, NotRunError
from rlkit.verify.languages import NoCompilerError, ProgramDoesNotCompileError, Runnable, runnable
from rlkit.verify.outcome import Outcome, not_run, unusable
from rlkit.verify.sandbox import Limits, Sandboxed, start

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
                checker = stack.enter_context(Runner(cases.checker, Runnable(_CHECKER)))
                if not checker.compiles():
                    return unusable("the row's checker is not Python that compiles")
            return _judge(runner, cases, checker, all_or_nothing)
    except ProgramDoesNotCompileError as error:
        return Outcome(0, len(cases.inputs), f"the program does not compile: {error}")
    except (OSError, NotRunError, NoCompilerError) as error:
        return not_run(error)


def _judge(runner: "Runner", cases: Cases, checker: "Runner | None", all_or_nothing: bool) -> Outcome:
    total = len(cases.inputs)
    if total and not runner.compiles():
        return Outcome(0, total, "the program does not compile")
    passed, why = 0, None
    for number, (given, expected) in enumerate(zip(cases.inputs, cases.outputs, strict=True), start=1):
        if runner.seconds_left <= 0:
            why = why or f"case {number}: the time of all cases is over"
            break
        result = runner.run(given)
        wrong = result.error or _wrong(result.output, given, expected, cases, checker)
        if wrong is None:
            passed += 1
            continue
        why = why or f"case {number}: {wrong}"
        if all_or_nothing:
            break
    return Outcome(passed, total, why)


def _wrong(
    output: str, given: str, expected: str | Sequence[str], cases: Cases, checker: "Runner | None"
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


@dataclass(frozen=True)
class Result:
    """One run: its output, and what went wrong with it."""

    output: str
    error: str | None


class Runner:
    """Runs a program for one input after the other, in a sandbox that is made anew where a case demands it.

    NotRunError where the machine is at fault. Close it by `with`, in the thread that entered.
    """

    def __init__(self, program: str, made: Runnable) -> None:
        limits = made.limits
        self._case_seconds = limits.case_seconds or limits.wall_seconds
        processor = min(limits.cpu_seconds, math.ceil(self._case_seconds) + 1)
        self._request = {"program": program, "command": made.command}
        self._limits, self._files = replace(limits, cpu_seconds=processor), made.files
        self._stack = ExitStack()
        self._channel: socket.socket | None = None
        self._sandbox: Sandboxed | None = None
        self._compiles = False
        self.seconds_left = limits.wall_seconds

    def __enter__(self) -> "Runner":
        return self

    def __exit__(self, *exception: object) -> None:
        self._close()

    def compiles(self) -> bool:
        """Whether the program is one; starts the sandbox."""
        if self._channel is None:
            self._start()
        return self._compiles

    def run(self, given: str, files: Sequence[str] = ()) -> Result:
        """The program's output for an input, with files whose paths are its arguments."""
        if not self.compiles():
            return Result("", "it does not compile")
        assert self._channel is not None
        seconds = min(self._case_seconds, self.seconds_left)
        with ExitStack() as stack:
            contents = [text.encode(errors="replace") for text in (given, *files)]
            opened = [_memory_file(stack, content) for content in (*contents, b"")]
            try:
                socket.send_fds(self._channel, [json.dumps({"seconds": seconds}).encode()], opened)
                report = self._receive(PATIENCE * seconds + SECONDS_TO_START)
            except (ConnectionError, EOFError):
                self._close()
                return Result("", "the program ended its sandbox")
            output = os.pread(opened[-1], self._limits.file_bytes, 0).decode(errors="replace")
        self.seconds_left -= report["seconds"]
        if report["last"]:
            self._close()
        if "not_run" in report:
            raise NotRunError(report["not_run"])
        error = report.get("error") or (f"exit code {report['code']}" if report["code"] else None)
        return Result(output, error)

    def _start(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._channel = self._stack.enter_context(ours)
            sandbox = start("case_server", self._request, self._limits, theirs, files=self._files)
            self._sandbox = self._stack.enter_context(sandbox)
        try:
            report = self._receive(SECONDS_TO_START)
        except (ConnectionError, EOFError):
            raise NotRunError(
                f"the sandbox did not start (exit code {self._sandbox.process.poll()})"
            ) from None
        self._compiles = report["code"] == 0
        if "not_run" in report:
            raise NotRunError(report["not_run"])

    def _receive(self, seconds: float) -> dict[str, Any]:
        assert self._channel is not None
        self._channel.settimeout(seconds)
        try:
            message = self._channel.recv(4096)
        except TimeoutError:
            raise NotRunError(f"no answer from the sandbox in {seconds:g} s") from None
        if not message:
            raise EOFError
        return json.loads(message)

    def _close(self) -> None:
        self._stack.close()
        self._channel = self._sandbox = None


def _memory_file(stack: ExitStack, content: bytes) -> int:
    descriptor = os.memfd_create("case")
    stack.callback(os.close, descriptor)
    while content:
        content = content[os.write(descriptor, content) :]
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
