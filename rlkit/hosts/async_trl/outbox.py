"""What one process tells the other goes out from a thread: a reader that is busy or hangs stops nobody."""

import queue
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from typing import Any


class Outbox:
    """Sends in the order of `put_nowait`, which never waits.

    Args:
        connection: its other end reads with `recv`.
        gone: called, in the thread, when the other end is closed; then the thread ends.
    """

    def __init__(self, connection: Connection, gone: Callable[[], None]):
        self._connection, self._gone = connection, gone
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._send, daemon=True)
        self._thread.start()

    def put_nowait(self, message: Any) -> None:
        """Raises what pickling raises, where whoever made the message can still do something about it."""
        self._queue.put(ForkingPickler.dumps(message))

    def close(self) -> None:
        """Ends the thread once all is sent, or the other end is closed; waits a second at most."""
        self._queue.put(None)
        self._thread.join(1.0)

    def _send(self) -> None:
        while (message := self._queue.get()) is not None:
            try:
                self._connection.send_bytes(message)
            except OSError:
                self._gone()
                return
