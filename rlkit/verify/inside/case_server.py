"""Runs programs once a case, each time in a new process forked from this one. Outputs are judged elsewhere.

Messages are JSON objects over a socket, with open files; each gets a reply. {"seconds", "cpu_seconds"} is a
case, with the files for its input, its arguments and its output: the reply has `code`, the exit code, and
`seconds`, its own time; `error` says what limit it exceeded, `not_run` that the machine's load took the time,
`last` that the next case needs a new sandbox. With "compile" the input is the program of the cases to come
and the output is for its code: `code` is 0 where it compiles.

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
from typing import Any

from .confine import MAX_OPEN_FILES, confine_but_forks
from .watch import NotRunError, Watch

MAX_FILES = 8
_PR_SET_DUMPABLE = 4
_SHORT_SECONDS = 0.02
_ABOVE_ALL = MAX_OPEN_FILES - MAX_FILES  # no descriptor of this process is as high


def run(request: dict[str, Any], channel: int) -> None:
    """Serve cases of the programs that messages bring, or of request["command"], until the channel closes."""
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the first process gets only signals that it handles
    os.listdir(".")  # sets its time of access, which another reading leaves
    untouched = _times(".")
    harness = socket.socket(fileno=channel)
    server = _Server(request["limits"], request["command"])
    harness.send(b"{}")
    while _times(".") == untouched:
        message, files, _, _ = socket.recv_fds(harness, 1024, MAX_FILES)
        if not message:
            break
        report = server.answer(files, **json.loads(message))
        for file in files:
            os.close(file)
        report["last"] = _times(".") != untouched
        harness.send(json.dumps(report).encode())


class _Server:
    """What the processes of the cases have in common, made before they are forked."""

    def __init__(self, limits: dict[str, Any], command: Sequence[str] | None) -> None:
        self._command, self._code = command, b""
        self._main = types.ModuleType("__main__")
        sys.modules["__main__"] = self._main
        sys.stdin = open(0, encoding="utf-8", errors="surrogateescape", closefd=False)  # noqa: SIM115
        sys.stdout = open(1, "w", encoding="utf-8", errors="surrogateescape", closefd=False)  # noqa: SIM115
        self._confine = confine_but_forks(limits)
        gc.freeze()

    def answer(
        self, files: Sequence[int], seconds: float, cpu_seconds: int, compile: bool = False
    ) -> dict[str, Any]:
        """The report of a case, or of the compilation of the next program."""
        program = _compile if compile else self._run_program
        report = self._run_case(program, files, seconds, cpu_seconds)
        if compile:
            self._code = os.pread(files[-1], os.fstat(files[-1]).st_size, 0)
        return report

    def _run_program(self) -> None:
        if self._command is not None:
            _replace(self._command)
        exec(marshal.loads(self._code), vars(self._main))

    def _run_case(
        self, program: Callable[[], None], files: Sequence[int], seconds: float, cpu_seconds: int
    ) -> dict[str, Any]:
        try:
            child = os.fork()
        except OSError as error:
            return {"not_run": str(error), "code": 1, "seconds": 0.0}
        if child == 0:
            self._become(program, files, cpu_seconds)
        own_seconds, report = _end(child, seconds)
        _, status, used = os.wait4(child, 0)
        processor = used.ru_utime + used.ru_stime
        if not report and processor > seconds:
            report["error"] = "the processor time is over"
        return report | {"code": os.waitstatus_to_exitcode(status), "seconds": max(own_seconds, processor)}

    def _become(self, program: Callable[[], None], files: Sequence[int], cpu_seconds: int) -> None:
        """Be the program's process, with nothing open but its files; never returns."""
        code = 1
        try:
            given, *arguments, output = files
            if arguments:  # a descriptor in the way of another
                arguments = [os.dup2(fd, _ABOVE_ALL + place) for place, fd in enumerate(arguments)]
            os.dup2(given, 0)
            os.dup2(output, 1)
            paths = [f"/proc/self/fd/{os.dup2(fd, place)}" for place, fd in enumerate(arguments, start=3)]
            os.closerange(3 + len(arguments), MAX_OPEN_FILES)
            sys.argv = ["program", *paths]
            self._confine(cpu_seconds)
            code = _exit_code(program)
        finally:
            os._exit(code)


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
    """Run to the end as Python does: other threads, exit hooks, output."""
    code = 0
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
    except BaseException:
        code = code or 120
    return code & 0xFF


def _compile() -> None:
    """In a process of its own, as source may crash the compiler."""
    code = marshal.dumps(compile(sys.stdin.read(), "<program>", "exec"))
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
