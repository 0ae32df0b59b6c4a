"""Stages' processes: started in a group of their own with a log, ended with all that they started."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

MARK = "RLKIT_STAGE"
"""In the environment of a stage's processes: its folder, by which they are found after a kill."""
GRACE_SECONDS = 60.0
"""From asking a stage to end (a run saves a checkpoint) until it is killed."""

Start = Callable[[list[str], Path, dict[str, str]], "subprocess.Popen[bytes]"]
"""Starts a command with its output in a log and more of an environment."""


def start(command: list[str], log: Path, environment: dict[str, str]) -> "subprocess.Popen[bytes]":
    with log.open("ab") as file:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
            start_new_session=True,
        )


def end(process: "subprocess.Popen[bytes]") -> None:
    """Asks the stage to end, as a preemption does, and kills what is left of its group."""
    until = time.monotonic() + GRACE_SECONDS
    with suppress(ProcessLookupError):  # all are over
        os.killpg(process.pid, signal.SIGTERM)
        while time.monotonic() < until:  # accelerate ends at once, the training under it saves first
            process.poll()
            os.killpg(process.pid, 0)
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def end_orphans(folder: Path) -> int:
    """Kills what a killed pipeline left running in a stage's folder; how many processes these were."""
    orphans = [process for process in psutil.process_iter() if _mark(process) == str(folder.resolve())]
    for process in orphans:
        process.kill()
    psutil.wait_procs(orphans, timeout=GRACE_SECONDS)
    return len(orphans)


def _mark(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(MARK)
    except (psutil.Error, OSError):  # another user's, or over
        return None


def wait(process: "subprocess.Popen[bytes]", tick: Callable[[], None], every: float = 0.2) -> int:
    """The exit code; `tick` is called meanwhile."""
    while (code := process.poll()) is None:
        tick()
        time.sleep(every)
    return code
