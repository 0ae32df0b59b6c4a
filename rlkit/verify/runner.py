"""Runs one program for one input after the other, in a sandbox that is made anew where a case demands it."""

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from rlkit.verify.case_sandbox import CaseSandbox, stock
from rlkit.verify.inside.case_server import MAX_CASES
from rlkit.verify.inside.watch import NotRunError
from rlkit.verify.languages import Runnable

_SECONDS_TO_COMPILE = 10.0


@dataclass(frozen=True)
class Result:
    """One run: its output, and what went wrong with it."""

    output: str
    error: str | None


class Runner:
    """A program, made ready to run, and the time that it has left.

    `user` says for whom: a sandbox of programs is never one of checkers. NotRunError where the machine is at
    fault. Close it by `with`, in the thread that entered.
    """

    def __init__(self, program: str, made: Runnable, user: str = "program") -> None:
        self._program, self._made, self._user = program, made, user
        self._case_seconds = made.limits.case_seconds or made.limits.wall_seconds
        self._cpu_seconds = min(made.limits.cpu_seconds, math.ceil(self._case_seconds) + 1)
        self._sandbox: CaseSandbox | None = None
        self._compiles = False
        self.seconds_left = made.limits.wall_seconds

    def __enter__(self) -> "Runner":
        return self

    def __exit__(self, *exception: object) -> None:
        sandboxes = stock.get()
        if self._sandbox is None:
            return
        if sandboxes is None or self._made.command is not None:
            self._sandbox.close()
        else:
            sandboxes.give_back(self._user, self._made.limits, self._sandbox)
        self._sandbox = None

    def compiles(self) -> bool:
        """Whether the program is one; starts the sandbox."""
        if self._sandbox is not None and not self._sandbox.usable:
            self._sandbox.close()
            self._sandbox = None
        if self._sandbox is None:
            self._sandbox = self._new_sandbox()
            self._compiles = self._made.command is not None or self._compile()
        return self._compiles

    def run(self, given: str, files: Sequence[str] = ()) -> Result:
        """The program's output for an input, with files whose paths are its arguments."""
        return self._run([(given, *files)])[0]

    def run_all(self, inputs: Sequence[str]) -> Iterator[Result]:
        """The program's output for one input after the other, as long as there is time.

        Few run ahead of the one asked for, first one, then two, up to MAX_CASES: a message each costs time.
        """
        start, size = 0, 1
        while start < len(inputs) and self.seconds_left > 0:
            results = self._run([(given,) for given in inputs[start : start + size]])
            yield from results
            start, size = start + len(results), min(2 * size, MAX_CASES)

    def _run(self, cases: Sequence[Sequence[str]]) -> list[Result]:
        """The results of the first cases, one at least."""
        if not self.compiles():
            return [Result("", "it does not compile")]
        message = {
            "seconds": self._case_seconds,
            "seconds_left": self.seconds_left,
            "cpu_seconds": self._cpu_seconds,
        }
        reports, outputs = self._ask(message, cases)
        if not reports:
            return self._run(cases[:1]) if len(cases) > 1 else [Result("", "the program ended its sandbox")]
        self.seconds_left -= sum(report["seconds"] for report in reports)
        errors = [
            report.get("error") or (f"exit code {report['code']}" if report["code"] else None)
            for report in reports
        ]
        return list(map(Result, outputs, errors))

    def _new_sandbox(self) -> CaseSandbox:
        sandboxes = stock.get()
        if sandboxes is None or self._made.command is not None:
            return CaseSandbox(self._made.limits, self._made.command, self._made.files)
        return sandboxes.take(self._user, self._made.limits)

    def _compile(self) -> bool:
        message = {
            "seconds": _SECONDS_TO_COMPILE,
            "seconds_left": _SECONDS_TO_COMPILE,
            "cpu_seconds": math.ceil(_SECONDS_TO_COMPILE),
            "compile": True,
        }
        reports, _ = self._ask(message, [[self._program]])
        if not reports:
            raise NotRunError("the sandbox ended before the program was run")
        return reports[0]["code"] == 0

    def _ask(
        self, message: dict[str, Any], cases: Sequence[Sequence[str]]
    ) -> tuple[list[dict[str, Any]], list[str]]:
        """The sandbox's reports on processes with these files, none where it ended, and what they wrote."""
        assert self._sandbox is not None
        with ExitStack() as stack:
            opened = [
                [_memory_file(stack, text.encode(errors="replace")) for text in (*case, "")] for case in cases
            ]
            reply = self._sandbox.ask(
                message | {"num_cases": len(cases)}, [fd for case in opened for fd in case]
            )
            reports = reply["reports"] if reply else []
            if reports and "not_run" in reports[-1]:
                raise NotRunError(reports[-1]["not_run"])
            outputs = [os.pread(case[-1], self._made.limits.file_bytes, 0) for case in opened[: len(reports)]]
        return reports, [output.decode(errors="replace") for output in outputs]


def _memory_file(stack: ExitStack, content: bytes) -> int:
    descriptor = os.memfd_create("case")
    stack.callback(os.close, descriptor)
    while content:
        content = content[os.write(descriptor, content) :]
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
