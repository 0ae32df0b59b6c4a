"""Runs a compiler, which may start processes, on a program that it does not run; writes the binary out."""

import os
import resource
import shutil
import subprocess
import sys
from typing import Any

_BINARY = "program"


def run(request: dict[str, Any]) -> None:
    """Execute request["command"] within the limits; exit code 1 where it fails."""
    limits = request["limits"]
    for kind, name in (
        (resource.RLIMIT_CPU, "cpu_seconds"),
        (resource.RLIMIT_AS, "memory_bytes"),
        (resource.RLIMIT_FSIZE, "file_bytes"),
    ):
        resource.setrlimit(kind, (limits[name], limits[name]))
    if subprocess.run([*request["command"], "-o", _BINARY], stdin=subprocess.DEVNULL).returncode != 0:
        sys.exit(1)
    with open(_BINARY, "rb") as file, os.fdopen(os.dup(1), "wb") as output:
        shutil.copyfileobj(file, output)
