"""A limit on the time of a call in the main thread, by a signal from a thread that watches the clock.

It ends what Python can interrupt: loops, sleeps, sockets, locks, regular expressions, waiting for child
processes. It does not end a library's own code that never comes back to Python. SIGALRM is left to the
function, which may set limits of its own with it (as math-verify does); this one takes SIGUSR2, for the call.
"""

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

logger = logging.getLogger(__name__)

AGAIN_SECONDS = 1.0
"""The signal is repeated until the call ends: cleaning up may hang as well."""


class TimeLimitError(BaseException):
    """The time is up. No Exception, so that the function's own `except Exception` does not swallow it."""


@cache
def _has_signals() -> bool:
    known = {"SIGUSR2", "pthread_kill"} <= set(dir(signal))
    if not known:
        logger.warning("this system has no signal that interrupts a call: sync rewards have no time limit")
    return known


@contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Raises TimeLimitError inside the block after so many seconds.

    Without a limit (None), or outside of the main thread, where Python takes no signals, it does nothing; nor
    on a system without these signals (Windows), which it says once.
    """
    main = threading.main_thread()
    if seconds is None or threading.current_thread() is not main or not _has_signals():
        yield
        return
    over = threading.Event()

    def interrupt(number: int, frame: Any) -> None:
        if not over.is_set():
            raise TimeLimitError(f"took more than {seconds:g} s")

    def watch() -> None:
        wait = seconds
        while not over.wait(wait):
            signal.pthread_kill(main.ident, signal.SIGUSR2)  # type: ignore[arg-type]
            wait = AGAIN_SECONDS

    before = signal.signal(signal.SIGUSR2, interrupt)
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        try:
            yield
        finally:
            over.set()
    finally:
        over.set()  # where the signal came in just before the line above
        watcher.join()
        signal.signal(signal.SIGUSR2, before)
