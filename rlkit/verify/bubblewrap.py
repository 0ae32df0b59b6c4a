"""The command that isolates a process by bubblewrap: what it sees, and what it may import."""

import compileall
import functools
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

PACKAGES = ("numpy", "numpy.libs", "sortedcontainers")  # what programs may import beside the standard library
INSIDE = Path(__file__).with_name("inside")
TRIAL_TMP_BYTES = 1024**2
FORKING_SERVER = (
    *("--tmpfs", "/proc/1", "--remount-ro", "/proc/1"),  # the first process is hidden from others
    *("--setenv", "LD_BIND_NOW", "1"),  # else each fork looks up the same symbols anew
)
ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


def why_not() -> str | None:
    """Why bubblewrap cannot be used on this machine, or None where it can."""
    if shutil.which("bwrap") is None:
        return "bubblewrap (bwrap) is not installed"
    compileall.compile_dir(INSIDE, quiet=2)  # so that sandboxes start faster, where it may be written
    trial = subprocess.run(
        [
            *command(TRIAL_TMP_BYTES, *FORKING_SERVER),
            *python("/sandbox/inside")[:-1],
            "-c",
            "import json, ctypes",
        ],
        capture_output=True,
        text=True,
        env={},
    )
    return None if trial.returncode == 0 else f"bubblewrap does not work here ({trial.stderr.strip():.300})"


def python(inside: str) -> list[str]:
    """The command of the Python that runs inside, up to the role."""
    interpreter = os.path.realpath(sys.executable)
    return [interpreter, "-I", "-S", "-B", "-X", "utf8", f"{inside}/start.py"]


@functools.cache
def command(tmp_bytes: int, *options: str) -> tuple[str, ...]:
    """The command of a sandbox: what a Python program needs, read-only, and a /tmp in memory."""
    words = [shutil.which("bwrap") or "bwrap", "--unshare-all", "--unshare-user", "--uid", "65534"]
    words += ["--gid", "65534", "--die-with-parent", "--new-session", "--as-pid-1", "--clearenv"]
    words += ["--cap-drop", "ALL", "--ro-bind", "/usr", "/usr"]
    for folder in ("/bin", "/lib", "/lib32", "/lib64"):
        if os.path.islink(folder):
            words += ["--symlink", os.readlink(folder), folder]
        elif os.path.isdir(folder):
            words += ["--ro-bind", folder, folder]
    for prefix in {sys.base_prefix, sys.base_exec_prefix}:
        words += ["--ro-bind", prefix, prefix]
    words += ["--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache"]
    for hidden in _other_packages():
        words += ["--tmpfs", hidden, "--remount-ro", hidden]
    words += ["--ro-bind", str(INSIDE), "/sandbox/inside", "--dir", "/sandbox/packages"]
    for package in PACKAGES:
        path = f"{sysconfig.get_path('platlib')}/{package}"
        words += ["--ro-bind-try", path, f"/sandbox/packages/{package}"]
    words += ["--proc", "/proc", *options, "--dev", "/dev", "--remount-ro", "/dev"]
    words += ["--size", str(tmp_bytes), "--tmpfs", "/tmp", "--remount-ro", "/", "--chdir", "/tmp"]
    for name, value in (ENVIRONMENT | {"HOME": "/tmp"}).items():
        words += ["--setenv", name, value]
    return (*words, "--")


def _other_packages() -> list[str]:
    """Installed packages in the folders that a sandbox sees: one may hold a data set with its solutions."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    candidates = [
        f"{prefix}/lib/{version}/{kind}-packages"
        for prefix in (sys.base_prefix, "/usr", "/usr/local")
        for kind in ("site", "dist")
    ]
    return sorted({path for path in [*candidates, "/usr/lib/python3/dist-packages"] if os.path.isdir(path)})
