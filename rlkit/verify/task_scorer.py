"""reasoning-gym's scorers, in a process that answers can neither hang nor harm: see task_worker.py."""

import atexit
import json
import os
import select
import subprocess
import sys
import threading

SECONDS_PER_ANSWER = 5.0
SECONDS_TO_START = 120.0  # importing reasoning-gym takes about four, and some tasks read a corpus


class TaskScorer:
    """One process of task_worker.py, started when needed, also after its death or a fork of ours."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner_pid = 0

    def score(self, task: str, config: str, entry: str, answer: str) -> float | None:
        """What the task's own scorer gives the answer, as it is; None where it fails or takes too long.

        A ValueError where reasoning-gym does not know the task, its config or the form of the entry.
        """
        question = json.dumps([SECONDS_PER_ANSWER, task, config, entry, answer]).encode() + b"\n"
        with self._lock:
            process = self._running()
            assert process.stdin is not None
            try:
                process.stdin.write(question)
                process.stdin.flush()
                reply = self._read(process, SECONDS_PER_ANSWER + SECONDS_TO_START)
            except BrokenPipeError:
                reply = b""
            if not reply:
                self._kill()
                return None
        result = json.loads(reply)
        if isinstance(result, str):
            raise ValueError(f"reasoning-gym's task {task!r} with config {config}: {result}")
        return result

    def close(self) -> None:
        with self._lock:
            self._kill()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._owner_pid == os.getpid() and self._process.poll() is None:
            return self._process
        command = [sys.executable, "-m", "rlkit.verify.task_worker"]
        self._process = process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            process_group=0,  # an interrupt from the keyboard is for us
        )
        self._owner_pid = os.getpid()
        if not self._read(process, SECONDS_TO_START):
            self._kill()
            raise RuntimeError(
                f"reasoning-gym did not start within {SECONDS_TO_START:.0f} s; see what "
                f"`{' '.join(command)}` prints"
            )
        return process

    def _read(self, process: subprocess.Popen[bytes], seconds: float) -> bytes:
        """The next line; empty on a time-out or a dead process."""
        assert process.stdout is not None
        readable, _, _ = select.select([process.stdout], [], [], seconds)
        return process.stdout.readline() if readable else b""

    def _kill(self) -> None:
        if self._process is not None and self._owner_pid == os.getpid():
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()
        self._process = None


SCORER = TaskScorer()
atexit.register(SCORER.close)
