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
import select
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from rlkit.verify.inside import channel
from rlkit.verify.inside.confine import supported

UNSANDBOXED = "RLKIT_UNSANDBOXED_CODE"
MAX_THREADS = 64
SECONDS_BETWEEN_LOOKS = 0.05
PACKAGES = ("numpy", "numpy.libs")  # what programs may import beside the standard library

_INSIDE = Path(__file__).with_name("inside")


@dataclass(frozen=True)
class Limits:
    """What one program may use; each process of it (program, tester) separately, but for the wall time."""

    wall_seconds: float = 10.0
    cpu_seconds: int = 10
    memory_bytes: int = 1024**3  # of address space
    file_bytes: int = 16 * 1024**2  # of each file, of the output, and of all of /tmp


class NoSandboxError(ValueError):
    """Programs cannot be isolated on this machine; the message says why and what to do."""


class ProgramError(Exception):
    """A program did not give a plain value: it raised, exceeded a limit, or has no such function."""


def run_function(program: str, function: str, arguments: Sequence[Any], limits: Limits | None = None) -> Any:
    """What function(*arguments) of a program returns: a plain value (see inside/channel.py).

    run_function("def f(x): return x + 1", "f", [2]) is 3. ProgramError says what went wrong in the program,
    ValueError that there is no sandbox, TypeError that an argument is not a plain value.
    """
    limits = limits or Limits()
    call = channel.encode((1, function, list(arguments), {}))
    deadline = time.monotonic() + limits.wall_seconds
    ours, theirs = socket.socketpair()
    request = {"program": program, "objects": False}
    with ours, theirs, start("solution_process", request, limits, theirs) as process:
        theirs.close()

        def read(num_bytes: int) -> bytes:
            wait(ours, deadline, [process])
            return ours.recv(num_bytes)

        try:
            ours.settimeout(limits.wall_seconds)
            ours.sendall(call)
            number, error, value = channel.receive(read)
        except ConnectionError as reason:
            raise ProgramError("the channel closed") from reason
        except (channel.BrokenChannelError, TimeoutError) as reason:
            raise ProgramError(str(reason)) from reason
        except (TypeError, ValueError) as reason:
            raise ProgramError("not a reply") from reason
    if error is None and number == 1:
        return value
    raise ProgramError(
        f"{error}: {value}" if isinstance(error, str) and isinstance(value, str) else "not a reply"
    )


@contextmanager
def start(
    role: str,
    request: dict[str, Any],
    limits: Limits,
    channel_end: socket.socket | None = None,
    stdin: IO[bytes] | int = subprocess.DEVNULL,
    stdout: IO[bytes] | int = subprocess.DEVNULL,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run inside/ROLE.py with a request in a sandbox of its own; after the block nothing of it is left.

    A ValueError as in isolation(). The thread that enters must live as long as the block: bubblewrap dies
    with it.
    """
    isolated = isolation()
    with ExitStack() as stack:
        folder = (
            None
            if isolated
            else stack.enter_context(tempfile.TemporaryDirectory(prefix="rlkit-", ignore_cleanup_errors=True))
        )
        file = stack.enter_context(tempfile.TemporaryFile())
        packages = "/sandbox/packages" if isolated else sysconfig.get_path("purelib")
        file.write(json.dumps(request | {"limits": asdict(limits), "packages": packages}).encode())
        file.seek(0)
        descriptors = [file.fileno()] + ([channel_end.fileno()] if channel_end else [])
        process = subprocess.Popen(
            [
                *(_bubblewrap(limits.file_bytes) if isolated else ()),
                *_python("/sandbox/inside" if isolated else str(_INSIDE)),
                role,
                *map(str, descriptors),
            ],
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.DEVNULL,
            pass_fds=descriptors,
            start_new_session=True,
            cwd=folder or "/",
            env={} if folder is None else _ENVIRONMENT | {"HOME": folder, "TMPDIR": folder},
        )
        try:
            yield process
        finally:
            _kill(process)


def wait(file: socket.socket | int, deadline: float, processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Return when the file (or pidfd) is readable; a TimeoutError says what the processes exceeded."""
    poll = select.poll()
    poll.register(file, select.POLLIN)
    while not poll.poll(1000 * max(0.0, min(SECONDS_BETWEEN_LOOKS, deadline - time.monotonic()))):
        if time.monotonic() >= deadline:
            raise TimeoutError("the wall time is over")
        if any(_num_threads(pid) > MAX_THREADS for process in processes for pid in _programs(process)):
            raise TimeoutError(f"more than {MAX_THREADS} threads")


@functools.cache
def isolation() -> bool:
    """Whether programs are isolated by bubblewrap; False where the environment allows to go without.

    Raises NoSandboxError where there is no sandbox.
    """
    if not supported():
        raise NoSandboxError(
            f"code rewards run on Linux (x86_64, aarch64); this is {platform.system()} {platform.machine()}"
        )
    why = _why_no_bubblewrap()
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


def _why_no_bubblewrap() -> str | None:
    if shutil.which("bwrap") is None:
        return "bubblewrap (bwrap) is not installed"
    trial = subprocess.run(
        [*_bubblewrap(Limits.file_bytes), *_python("/sandbox/inside")[:-1], "-c", "import json, ctypes"],
        capture_output=True,
        text=True,
        env={},
    )
    return None if trial.returncode == 0 else f"bubblewrap does not work here ({trial.stderr.strip():.300})"


_ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


def _python(inside: str) -> list[str]:
    interpreter = os.path.realpath(sys.executable)
    return [interpreter, "-I", "-S", "-B", "-X", "utf8", f"{inside}/start.py"]


@functools.cache
def _bubblewrap(tmp_bytes: int) -> tuple[str, ...]:
    """The command of a sandbox: what a Python program needs, read-only, and a /tmp in memory."""
    command = [shutil.which("bwrap") or "bwrap", "--unshare-all", "--unshare-user", "--uid", "65534"]
    command += ["--gid", "65534", "--die-with-parent", "--new-session", "--as-pid-1", "--clearenv"]
    command += ["--cap-drop", "ALL", "--ro-bind", "/usr", "/usr"]
    for folder in ("/bin", "/lib", "/lib32", "/lib64"):
        if os.path.islink(folder):
            command += ["--symlink", os.readlink(folder), folder]
        elif os.path.isdir(folder):
            command += ["--ro-bind", folder, folder]
    for prefix in {sys.base_prefix, sys.base_exec_prefix}:
        command += ["--ro-bind", prefix, prefix]
    command += ["--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache"]
    for hidden in _other_packages():
        command += ["--tmpfs", hidden, "--remount-ro", hidden]
    command += ["--ro-bind", str(_INSIDE), "/sandbox/inside", "--dir", "/sandbox/packages"]
    for package in PACKAGES:
        path = f"{sysconfig.get_path('platlib')}/{package}"
        command += ["--ro-bind-try", path, f"/sandbox/packages/{package}"]
    command += ["--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev"]
    command += ["--size", str(tmp_bytes), "--tmpfs", "/tmp", "--remount-ro", "/", "--chdir", "/tmp"]
    for name, value in (_ENVIRONMENT | {"HOME": "/tmp"}).items():
        command += ["--setenv", name, value]
    return (*command, "--")


def _other_packages() -> list[str]:
    """Installed packages in the folders that a sandbox sees: one may hold a data set with its solutions."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    candidates = [
        f"{prefix}/lib/{version}/{kind}-packages"
        for prefix in (sys.base_prefix, "/usr", "/usr/local")
        for kind in ("site", "dist")
    ]
    return sorted({path for path in [*candidates, "/usr/lib/python3/dist-packages"] if os.path.isdir(path)})


def _programs(process: subprocess.Popen[bytes]) -> list[int]:
    """The process ids of what runs in a sandbox: bubblewrap's only child, or the process itself."""
    if not isolation():
        return [process.pid]
    try:
        return [
            int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        ]
    except OSError:
        return []


def _num_threads(pid: int) -> int:
    try:
        return len(os.listdir(f"/proc/{pid}/task"))
    except OSError:
        return 0


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the program, so that bubblewrap, its parent, reaps it and ends; then bubblewrap, if it stays."""
    if process.poll() is None:
        for pid in _programs(process):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        try:
            process.wait(1.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
