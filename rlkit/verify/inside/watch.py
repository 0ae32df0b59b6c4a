"""The own time of processes: wall time, less what they waited for a processor that others had.

So a program that is slow by itself, or sleeps, exceeds its limit after as much time as on an idle machine,
and one that the machine's load holds up does not. Linux counts the waiting (/proc/PID/schedstat); where it
does not, own time is wall time.
"""

import os
import select
import time
from collections.abc import Callable, Iterable

MAX_THREADS = 64
SECONDS_BETWEEN_LOOKS = 0.05
SECONDS_TO_START = 120.0
PATIENCE = 20  # so many times the limit in wall time, and the load is to blame


class NotRunError(Exception):
    """The machine, not the program, is at fault: no sandbox came up, or other processes took the time."""


class Watch:
    """Waits while processes keep to their limits; its time begins when `started()` says so.

    wait() raises TimeoutError where the processes exceed a limit, NotRunError where the load is to blame.
    """

    def __init__(
        self, seconds: float, pids: Callable[[], Iterable[int]], started: Callable[[], bool] = lambda: True
    ) -> None:
        self._seconds, self._pids, self._started = seconds, pids, started
        self._created = time.monotonic()
        self._begin: float | None = None
        self._waited: dict[int, float] = {}
        self._waited_before: dict[int, float] = {}
        self.own_seconds()

    def wait(self, file: int) -> None:
        """Return when the file, or pidfd, is readable."""
        poll = select.poll()
        poll.register(file, select.POLLIN)
        while not poll.poll(1000 * SECONDS_BETWEEN_LOOKS):
            if self.own_seconds() >= self._seconds:
                raise TimeoutError("the wall time is over")
            if self._begin is not None and time.monotonic() - self._begin > PATIENCE * self._seconds:
                raise NotRunError("other processes held the processors for too long")
            if any(_num_threads(pid) > MAX_THREADS for pid in self._pids()):
                raise TimeoutError(f"more than {MAX_THREADS} threads")

    def own_seconds(self) -> float:
        """The own time up to now; 0.0 before the start, which has a limit of its own."""
        now = time.monotonic()
        if self._begin is None:
            if self._started():
                self._begin = now
                self._waited_before = {pid: seconds_waited(pid) for pid in self._pids()}
            elif now - self._created > SECONDS_TO_START:
                raise NotRunError(f"the sandbox did not start in {SECONDS_TO_START:g} s")
            return 0.0
        for pid in self._pids():
            self._waited[pid] = seconds_waited(pid) - self._waited_before.get(pid, 0.0)
        return now - self._begin - sum(self._waited.values())


def seconds_waited(pid: int) -> float:
    """How long a process has waited for a processor in its life; 0.0 where Linux does not say."""
    try:
        with open(f"/proc/{pid}/schedstat") as file:
            return int(file.read().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0


def _num_threads(pid: int) -> int:
    try:
        return len(os.listdir(f"/proc/{pid}/task"))
    except OSError:
        return 0
