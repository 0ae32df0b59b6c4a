"""Run programs that a model wrote, isolated by bubblewrap, one sandbox a process.

Covers: time, CPU seconds, memory, size of files and output; one process (threads, at most MAX_THREADS, but no
children: seccomp); namespaces of its own for users, processes, network, IPC and host name; a read-only system
without homes, projects or data; a private /tmp; no capabilities; no environment. Nothing is left behind, also
where the harness is killed.

Does not cover: a kernel's or bubblewrap's own holes; programs that detect which test runs from its inputs;
the load on shared caches and memory bandwidth; what RLIMIT_AS does not count (page tables, kernel objects).

Without bubblewrap, and only if RLKIT_UNSANDBOXED_CODE=1 says so: the same limits, the same filter of system
calls (no children, no sockets), but files and other processes of the user are within reach of the program.
"""

import functools
import json
import os
import platform
import signal
import socket
import subprocess
import sysconfig
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from rlkit.verify import bubblewrap
from rlkit.verify.inside import channel, records
from rlkit.verify.inside.confine import supported
from rlkit.verify.inside.watch import SECONDS_TO_START, NotRunError, Watch

UNSANDBOXED = "RLKIT_UNSANDBOXED_CODE"


@dataclass(frozen=True)
class Limits:
    """What one program may use; each process of it (program, tester) separately, but for the wall time."""

    wall_seconds: float = 10.0  # of its own: what it waited for a processor that others had is not counted
    cpu_seconds: int = 10
    memory_bytes: int = 1024**3  # of address space
    file_bytes: int = 16 * 1024**2  # of each file, of the output, and of all of /tmp
    case_seconds: float | None = None  # of each case, own time and processor time; None: the two above
    counts_data: bool = False  # memory_bytes of writable memory: node reserves far more address space


class NoSandboxError(ValueError):
    """Programs cannot be isolated on this machine; the message says why and what to do."""


class ProgramError(Exception):
    """A program did not give a plain value: it raised, exceeded a limit, or has no such function."""


def run_function(program: str, function: str, arguments: Sequence[Any], limits: Limits | None = None) -> Any:
    """What function(*arguments) of a program returns: a plain value (see inside/channel.py).

    run_function("def f(x): return x + 1", "f", [2]) is 3. ProgramError says what went wrong in the program,
    NotRunError that it could not be run, ValueError that there is no sandbox, TypeError that an argument is
    not a plain value.
    """
    limits = limits or Limits()
    call = channel.frame(records.encode((1, function, list(arguments), {}), (), records.refuse)[0])
    request = {"program": program, "objects": False, "classes": []}
    ours, theirs = socket.socketpair()
    with ours, theirs, start("solution_process", request, limits, theirs) as process:
        theirs.close()
        watch = watch_of([process], limits.wall_seconds)

        def read(num_bytes: int) -> bytes:
            watch.wait(ours.fileno())
            return ours.recv(num_bytes)

        try:
            ours.settimeout(limits.wall_seconds)
            ours.sendall(call)
            (number, error, value, _), _ = channel.receive(
                read, lambda reply: records.decode(reply, {}, records.refuse)
            )
        except ConnectionError as reason:
            process.check_started()
            raise ProgramError("the channel closed") from reason
        except (channel.BrokenChannelError, TimeoutError) as reason:
            process.check_started()
            raise ProgramError(str(reason)) from reason
        except (TypeError, ValueError) as reason:
            raise ProgramError("not a reply") from reason
    if error is None and number == 1:
        return value
    raise ProgramError(
        f"{error}: {value}" if isinstance(error, str) and isinstance(value, str) else "not a reply"
    )


@dataclass(frozen=True)
class Sandboxed:
    """A process in a sandbox, or the bubblewrap around it."""

    process: subprocess.Popen[bytes]
    request: IO[bytes]

    def started(self) -> bool:
        """Whether it is confined and about to run its role: then the request is emptied (inside/start.py)."""
        return os.fstat(self.request.fileno()).st_size == 0

    def check_started(self) -> None:
        """A NotRunError where it never comes so far."""
        deadline = time.monotonic() + SECONDS_TO_START
        while not self.started() and self.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        if not self.started():
            raise NotRunError(f"the sandbox did not start (exit code {self.process.poll()})")

    def pids(self) -> list[int]:
        """The ids of what runs in the sandbox: bubblewrap's only child, or the process itself."""
        if not isolation():
            return [self.process.pid]
        try:
            children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        except OSError:
            return []
        return [int(pid) for pid in children.split()]


@contextmanager
def start(
    role: str,
    request: dict[str, Any],
    limits: Limits,
    channel_end: socket.socket | None = None,
    stdout: IO[bytes] | int = subprocess.DEVNULL,
    files: Mapping[str, bytes] | None = None,
) -> Iterator[Sandboxed]:
    """Run inside/ROLE.py with a request in a sandbox of its own; after the block nothing of it is left.

    `files` are read-only files inside, by their paths, for bubblewrap alone. A ValueError as in isolation().
    The thread that enters must live as long as the block: bubblewrap dies with it.
    """
    isolated = isolation()
    with ExitStack() as stack:
        folder = (
            None
            if isolated
            else stack.enter_context(tempfile.TemporaryDirectory(prefix="rlkit-", ignore_cleanup_errors=True))
        )
        file, *held = (stack.enter_context(tempfile.TemporaryFile()) for _ in range(1 + len(files or {})))
        options = list(bubblewrap.FORKING_SERVER) if role == "case_server" else []
        for (path, content), one in zip((files or {}).items(), held, strict=True):
            one.write(content)
            one.seek(0)
            options += ["--perms", "0555", "--ro-bind-data", str(one.fileno()), path]
        packages = "/sandbox/packages" if isolated else sysconfig.get_path("purelib")
        file.write(json.dumps(request | {"limits": asdict(limits), "packages": packages}).encode())
        file.seek(0)
        descriptors = [file.fileno()] + ([channel_end.fileno()] if channel_end else [])
        process = subprocess.Popen(
            [
                *(bubblewrap.command(limits.file_bytes, *options) if isolated else ()),
                *bubblewrap.python("/sandbox/inside" if isolated else str(bubblewrap.INSIDE)),
                role,
                *map(str, descriptors),
            ],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.DEVNULL,
            pass_fds=descriptors + [one.fileno() for one in held],
            start_new_session=True,
            cwd=folder or "/",
            env={} if folder is None else bubblewrap.ENVIRONMENT | {"HOME": folder, "TMPDIR": folder},
        )
        sandboxed = Sandboxed(process, file)
        try:
            yield sandboxed
        finally:
            _kill(sandboxed)


def watch_of(processes: Sequence[Sandboxed], seconds: float) -> Watch:
    """A watch over the own time of processes, which begins when all of them have started."""
    return Watch(
        seconds,
        pids=lambda: [pid for process in processes for pid in process.pids()],
        started=lambda: all(process.started() for process in processes),
    )


@functools.cache
def isolation() -> bool:
    """Whether programs are isolated by bubblewrap; False where the environment allows to go without.

    Raises NoSandboxError where there is no sandbox.
    """
    if not supported():
        raise NoSandboxError(
            f"code rewards run on Linux (x86_64, aarch64); this is {platform.system()} {platform.machine()}"
        )
    why = bubblewrap.why_not()
    if why is None:
        return True
    if os.environ.get(UNSANDBOXED) == "1":
        warnings.warn(
            f"{why}: the model's programs run as this user, with resource limits alone ({UNSANDBOXED}=1)",
            stacklevel=2,
        )
        return False
    raise NoSandboxError(
        f"code rewards need a sandbox, but {why}; `apt install bubblewrap`, allow user namespaces, or set "
        f"{UNSANDBOXED}=1 to run the model's programs as this user with resource limits alone"
    )


def _kill(sandboxed: Sandboxed) -> None:
    """Kill the program, so that bubblewrap, its parent, reaps it and ends; then bubblewrap, if it stays."""
    process = sandboxed.process
    if process.poll() is None:
        for pid in sandboxed.pids():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        try:
            process.wait(1.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
