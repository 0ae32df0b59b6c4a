"""Runs programs once a case, each time in a new process forked from this one. Outputs are judged elsewhere.

Messages are JSON objects over a socket, with open files. One brings some cases, each with the files for its
input, its arguments and its output; {"seconds", "seconds_left", "cpu_seconds"} limit each of them, all, and
each one's processor time. The reply has `reports`, one a case: `code`, the exit code, and `seconds`, its own
time; `error` says what limit it exceeded, `not_run` that the machine's load took the time. There are fewer
reports than cases where the time is over, a case was not run, or the next one needs a new sandbox: then
`last` is true. With "compile" the input is the program of the cases to come and the output is for its code:
`code` is 0 where it compiles.

The cases of a message share a process where that cannot be told from a process each: the program is plain
(plain.py), all of them end well, and together in short time. Else each is run again in its own.

Nothing goes from case to case, or from program to program. A case's process is confined, has only its own
files open, is the only one beside this one, and ends before the next begins. This process is the sandbox's
first, which no signal from inside reaches, whose memory nobody reads (it is not dumpable), and which itself
never reads inputs or outputs. Where a case has touched the only folder that it can write to, this process
ends.
"""

import atexit
import ctypes
import gc
import json
import marshal
import os
import select
import signal
import socket
import sys
import types
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any

from .confine import MAX_OPEN_FILES, confine_but_forks
from .plain import is_plain
from .watch import NotRunError, Watch

MAX_CASES = 8  # a message
MAX_FILES = 8  # a case
_PR_SET_DUMPABLE = 4
_SHORT_SECONDS = 0.02
_TOGETHER_SECONDS = 0.2  # where cases take longer, a process each costs little
_PLAIN, _NOT_PLAIN = b"+", b"-"
_RECURSION_LIMIT = sys.getrecursionlimit()
_ABOVE_ALL = MAX_OPEN_FILES - MAX_FILES  # no descriptor of this process is as high


class _IsForkedError(BaseException):
    """Leads a case's process out of the server's frames, with what become() needs: what they held is gone."""


def run(request: dict[str, Any], channel: int) -> None:
    """Serve cases of the programs that messages bring, or of request["command"], until the channel closes."""
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the first process gets only signals that it handles
    server = _Server(request["limits"], request["command"])
    try:
        _serve(server, socket.socket(fileno=channel))
    except _IsForkedError as forked:
        case = forked.args
    else:
        return
    server.become(*case)


def _serve(server: "_Server", harness: socket.socket) -> None:
    os.listdir(".")  # sets its time of access, which another reading leaves
    untouched = _times(".")
    harness.send(b"{}")
    while _times(".") == untouched:
        message, files, _, _ = socket.recv_fds(harness, 1024, MAX_CASES * MAX_FILES)
        if not message:
            break
        reports = server.answer(files, lambda: _times(".") == untouched, **json.loads(message))
        for file in files:
            os.close(file)
        reply = {"reports": reports, "last": _times(".") != untouched}
        harness.send(json.dumps(reply).encode())


class _Server:
    """What the processes of the cases have in common, made before they are forked."""

    def __init__(self, limits: dict[str, Any], command: Sequence[str] | None) -> None:
        self._command, self._code, self._plain = command, b"", False
        sys.argv = ["program"]
        _begin_anew()
        self._confine = confine_but_forks(limits)
        gc.freeze()

    def answer(
        self,
        files: Sequence[int],
        usable: Callable[[], bool],
        seconds: float,
        seconds_left: float,
        cpu_seconds: int,
        num_cases: int = 1,
        compile: bool = False,
    ) -> list[dict[str, Any]]:
        """The reports of cases, or of the next program's compilation, while the sandbox is usable."""
        program = _compile if compile else self._run_program
        num_files = len(files) // num_cases
        cases = [files[start : start + num_files] for start in range(0, len(files), num_files)]
        if self._plain and num_cases > 1:
            report = self._run(program, cases, min(seconds, seconds_left, _TOGETHER_SECONDS), cpu_seconds)
            if report.keys() == {"code", "seconds"} and report["code"] == 0 and usable():
                return [report | {"seconds": report["seconds"] / num_cases}] * num_cases
            self._plain = False
            _rewind(files)
        reports: list[dict[str, Any]] = []
        for case in cases:
            report = self._run(program, [case], min(seconds, seconds_left), cpu_seconds)
            reports.append(report)
            seconds_left -= report["seconds"]
            if seconds_left <= 0 or "not_run" in report or not usable():
                break
        if compile:
            self._plain = os.pread(files[-1], 1, 0) == _PLAIN
            self._code = os.pread(files[-1], os.fstat(files[-1]).st_size, 1)
        return reports

    def _run_program(self) -> None:
        if self._command is not None:
            _replace(self._command)
        exec(marshal.loads(self._code), vars(sys.modules["__main__"]))

    def _run(
        self, program: Callable[[], None], cases: Sequence[Sequence[int]], seconds: float, cpu_seconds: int
    ) -> dict[str, Any]:
        """The report of a process for cases, each with its files."""
        try:
            child = os.fork()
        except OSError as error:
            return {"not_run": str(error), "code": 1, "seconds": 0.0}
        if child == 0:
            raise _IsForkedError(program, cases, cpu_seconds)
        own_seconds, report = _end(child, seconds)
        _, status, used = os.wait4(child, 0)
        processor = used.ru_utime + used.ru_stime
        if not report and processor > seconds:
            report["error"] = "the processor time is over"
        return report | {"code": os.waitstatus_to_exitcode(status), "seconds": max(own_seconds, processor)}

    def become(self, program: Callable[[], None], cases: Sequence[Sequence[int]], cpu_seconds: int) -> None:
        """Be the process of cases, until one fails, with nothing open but their files; never returns."""
        code = 1
        try:
            self._confine(cpu_seconds)
            for number, files in enumerate(cases, 1):
                _open_only(files, [file for later in cases[number:] for file in later])
                if number > 1:
                    _begin_anew()
                ended = _exit_code(program)
                if ended:
                    break
            code = ended
        finally:
            os._exit(code)


def _begin_anew() -> None:
    """Give a program its namespace, input and output; undo what a plain one may change."""
    sys.setrecursionlimit(_RECURSION_LIMIT)
    sys.modules["__main__"] = types.ModuleType("__main__")
    sys.stdin = open(0, encoding="utf-8", errors="surrogateescape", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", errors="surrogateescape", closefd=False)  # noqa: SIM115
    sys.__stdin__, sys.__stdout__ = sys.stdin, sys.stdout


def _open_only(files: Sequence[int], others: Sequence[int]) -> None:
    """Make input, output and arguments of a case's files; of all else, leave open the others."""
    os.dup2(files[0], 0)
    os.dup2(files[-1], 1)
    arguments = files[1:-1]
    if arguments:  # a descriptor in the way of another
        arguments = [os.dup2(fd, _ABOVE_ALL + place) for place, fd in enumerate(arguments)]
        sys.argv += [f"/proc/self/fd/{os.dup2(fd, place)}" for place, fd in enumerate(arguments, 3)]
    for below, above in pairwise([2 + len(arguments), *sorted(others), MAX_OPEN_FILES]):
        os.closerange(below + 1, above)


def _rewind(files: Sequence[int]) -> None:
    """Undo what reading inputs and writing outputs did, of cases with two files each."""
    for file in files:
        os.lseek(file, 0, os.SEEK_SET)
    for output in files[1::2]:
        os.ftruncate(output, 0)


def _end(child: int, seconds: float) -> tuple[float, dict[str, Any]]:
    """Have a process end, by itself or when its time is over: its own time, and what it exceeded."""
    pidfd = os.pidfd_open(child)
    try:
        own_seconds, report = _watch(child, pidfd, seconds)
    finally:
        os.close(pidfd)
    if report:
        os.kill(child, signal.SIGKILL)
    return own_seconds, report


def _watch(child: int, pidfd: int, seconds: float) -> tuple[float, dict[str, Any]]:
    """Wait for the end of a process or of its time: its own time, and what it exceeded."""
    if select.select([pidfd], [], [], min(seconds, _SHORT_SECONDS))[0]:
        return 0.0, {}  # its processor time is near enough
    watch = Watch(seconds, lambda: (child,))
    report = {}
    try:
        watch.wait(pidfd)
    except TimeoutError as error:
        report["error"] = str(error)
    except NotRunError as error:
        report["not_run"] = str(error)
    return watch.own_seconds(), report


def _exit_code(program: Callable[[], None]) -> int:
    """Run to the end as Python does: other threads, exit hooks, output, the end of the program's objects."""
    code, stdout = 0, sys.stdout
    try:
        program()
    except SystemExit as error:
        code = 0 if error.code is None else error.code if isinstance(error.code, int) else 1
    except BaseException:
        code = 1
    with suppress(BaseException):
        if "threading" in sys.modules:
            sys.modules["threading"]._shutdown()
        atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        vars(sys.modules["__main__"]).clear()  # files that it opened write what they hold
        stdout.flush()
    except BaseException:
        code = code or 120
    return code & 0xFF


def _compile() -> None:
    """In a process of its own, as source may crash the compiler."""
    source = sys.stdin.read()
    code = marshal.dumps(compile(source, "<program>", "exec"))
    code = (_PLAIN if is_plain(source) else _NOT_PLAIN) + code
    while code:
        code = code[os.write(1, code) :]


def _replace(command: Sequence[str]) -> None:
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them
        signal.signal(number, signal.SIG_DFL)
    os.execv(command[0], [*command, *sys.argv[1:]])


def _times(folder: str) -> tuple[int, int, int]:
    """What changes when the folder is written to, and when it is first read."""
    status = os.stat(folder)
    return status.st_atime_ns, status.st_mtime_ns, status.st_ctime_ns
