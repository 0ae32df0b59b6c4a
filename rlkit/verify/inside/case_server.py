"""Runs a program once a case, each time in a new process forked from this one. Outputs are judged elsewhere.

Messages are JSON objects over a socket, with open files. First this process says whether the program
compiles. A request has the `seconds` of the case, with the files for its input, its arguments and its output;
the reply has `code`, the exit code, and `seconds`, its own time; `error` says what limit it exceeded,
`not_run` that the machine's load took the time, `last` that the next case needs a new sandbox.

Nothing goes from case to case. A case's process is confined, has only its own files open, is the only one
beside this one, and ends before the next begins. This process is the sandbox's first, which no signal from
inside reaches, whose memory nobody reads (it is not dumpable), and which itself never reads inputs or
outputs. Where a case has touched the only folder that it can write to, this process ends.
"""

import atexit
import ctypes
import gc
import json
import marshal
import os
import resource
import select
import signal
import socket
import sys
import types
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from .confine import prepare
from .watch import NotRunError, Watch

MAX_FILES = 8
_PR_SET_DUMPABLE = 4
_SECONDS_TO_COMPILE = 10.0
_SHORT_SECONDS = 0.02
_ABOVE_ALL = 100  # no descriptor of this process is as high


def run(request: dict[str, Any], channel: int) -> None:
    """Serve cases of request["program"], or of request["command"] that runs it, until the channel closes."""
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the first process gets only signals that it handles
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # the harness may be short of them
    os.listdir(".")  # sets its time of access, which another reading leaves
    untouched = _times(".")
    confine = prepare(request["limits"])
    harness = socket.socket(fileno=channel)
    if request["command"] is None:
        code = os.memfd_create("code")
        report = _run_case(confine, partial(_compile, request["program"]), [code, code], _SECONDS_TO_COMPILE)
        program = partial(_script, os.pread(code, os.fstat(code).st_size, 0))
        os.close(code)
    else:
        report = {"code": 0}
        program = partial(_replace, request["command"])
    gc.freeze()
    harness.send(json.dumps(report).encode())
    while _times(".") == untouched:
        message, files, _, _ = socket.recv_fds(harness, 1024, MAX_FILES)
        if not message:
            break
        report = _run_case(confine, program, files, json.loads(message)["seconds"])
        for file in files:
            os.close(file)
        harness.send(json.dumps(report | {"last": _times(".") != untouched}).encode())


def _run_case(
    confine: Callable[[], None], program: Callable[[], None], files: Sequence[int], seconds: float
) -> dict[str, Any]:
    try:
        child = os.fork()
    except OSError as error:
        return {"not_run": str(error), "code": 1, "seconds": 0.0}
    if child == 0:
        _become(confine, program, files)
    pidfd = os.pidfd_open(child)
    own_seconds, report = _watch(child, pidfd, seconds)
    os.kill(child, signal.SIGKILL)
    os.close(pidfd)
    _, status, used = os.wait4(child, 0)
    processor = used.ru_utime + used.ru_stime
    if not report and processor > seconds:
        report["error"] = "the processor time is over"
    return report | {"code": os.waitstatus_to_exitcode(status), "seconds": max(own_seconds, processor)}


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


def _become(confine: Callable[[], None], program: Callable[[], None], files: Sequence[int]) -> None:
    """Be the program's process, with nothing open but its files; never returns."""
    code = 1
    try:
        given, *arguments, output = [os.dup2(fd, _ABOVE_ALL + place) for place, fd in enumerate(files)]
        os.dup2(given, 0)
        os.dup2(output, 1)
        paths = [f"/proc/self/fd/{os.dup2(fd, place)}" for place, fd in enumerate(arguments, start=3)]
        os.closerange(3 + len(arguments), _ABOVE_ALL + MAX_FILES)
        sys.argv = ["program", *paths]
        sys.stdin = open(0, encoding="utf-8", errors="surrogateescape", closefd=False)  # noqa: SIM115
        sys.stdout = open(1, "w", encoding="utf-8", errors="surrogateescape", closefd=False)  # noqa: SIM115
        signal.signal(signal.SIGINT, signal.default_int_handler)
        confine()
        code = _exit_code(program)
    finally:
        os._exit(code)


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


def _compile(program: str) -> None:
    """In a process of its own, as source may crash the compiler."""
    code = marshal.dumps(compile(program, "<program>", "exec"))
    while code:
        code = code[os.write(1, code) :]


def _script(code: bytes) -> None:
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    exec(marshal.loads(code), vars(module))


def _replace(command: Sequence[str]) -> None:
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them
        signal.signal(number, signal.SIG_DFL)
    os.execv(command[0], [*command, *sys.argv[1:]])


def _times(folder: str) -> tuple[int, int, int]:
    """What changes when the folder is written to, and when it is first read."""
    status = os.stat(folder)
    return status.st_atime_ns, status.st_mtime_ns, status.st_ctime_ns
