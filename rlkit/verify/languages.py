"""Languages beside Python: C++ by g++ and JavaScript by node, where they are installed, in the same sandbox.

C++ is compiled in a sandbox of its own, which may start processes; what comes out is bytes, and runs where
any program runs. Only programs of inputs and outputs: functions are tested in Python alone.
"""

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from rlkit.verify.inside.watch import NotRunError
from rlkit.verify.sandbox import Limits, isolation, start, watch_of

NAMES = {
    **dict.fromkeys(("python", "py", "python3", "pypy", "pypy3"), "python"),
    **dict.fromkeys(("cpp", "c++", "cxx", "cc", "c++17", "c++20", "cpp17", "cpp20"), "cpp"),
    **dict.fromkeys(("javascript", "js", "node", "nodejs"), "javascript"),
}
_TOOLS = {"cpp": ("g++", "g++"), "javascript": ("node", "nodejs")}  # the command, and its package of apt's
_FOLDERS = ("/usr/local/bin", "/usr/bin", "/bin")  # what a sandbox sees
_BINARY, _SCRIPT = "/sandbox/program", "/sandbox/program.js"
_COMPILING = Limits(wall_seconds=30.0, cpu_seconds=30, memory_bytes=2 * 1024**3, file_bytes=64 * 1024**2)


class ProgramDoesNotCompileError(Exception):
    """The program is at fault."""


class NoCompilerError(Exception):
    """This machine lacks what the language needs; the message says what to install."""


@dataclass(frozen=True)
class Runnable:
    """What runs a program inside: files by their paths, a command (None: Python), and its limits."""

    limits: Limits
    files: Mapping[str, bytes] = field(default_factory=dict)
    command: list[str] | None = None


def language_name(name: str) -> str | None:
    """python, cpp or javascript, for a name in a row or after a fence; None for another language."""
    return NAMES.get(name.strip().lower())


def runnable(code: str, language: str, limits: Limits) -> Runnable:
    """A program made ready to run. NoCompilerError, ProgramDoesNotCompileError or NotRunError say why not."""
    if language == "python":
        return Runnable(limits)
    tool = _tool(language)
    source = code.encode(errors="replace")
    if language == "cpp":
        return Runnable(limits, {_BINARY: _compiled(tool, source)}, [_BINARY])
    command = [tool, f"--max-old-space-size={limits.memory_bytes // 1024**2}", "--stack-size=50000", _SCRIPT]
    return Runnable(replace(limits, counts_data=True), {_SCRIPT: source}, command)


def _tool(language: str) -> str:
    command, package = _TOOLS[language]
    if not isolation():
        raise NoCompilerError(f"{language} programs run under bubblewrap only (`apt install bubblewrap`)")
    folders = [folder for folder in os.get_exec_path() if folder in _FOLDERS]
    path = shutil.which(command, path=os.pathsep.join(folders) or os.devnull)
    if path is None:
        raise NoCompilerError(
            f"{language} programs need {command}, which is in none of {', '.join(_FOLDERS)} that are in PATH "
            f"(`apt install {package}`)"
        )
    return path


def _compiled(tool: str, source: bytes) -> bytes:
    request = {"command": [tool, "-O2", "-std=c++17", "-pipe", "-x", "c++", "/sandbox/program.cpp"]}
    with (
        tempfile.TemporaryFile() as output,
        start(
            "compiler_process", request, _COMPILING, stdout=output, files={"/sandbox/program.cpp": source}
        ) as sandboxed,
    ):
        pidfd = os.pidfd_open(sandboxed.process.pid)
        try:
            watch_of([sandboxed], _COMPILING.wall_seconds).wait(pidfd)
        except TimeoutError as error:
            raise ProgramDoesNotCompileError(f"the compiler: {error}") from error
        finally:
            os.close(pidfd)
        if not sandboxed.started():
            raise NotRunError("the compiler's sandbox did not start")
        output.seek(0)
        binary = output.read()
    if sandboxed.process.wait() != 0 or not binary:
        raise ProgramDoesNotCompileError("g++ refuses it")
    return binary
