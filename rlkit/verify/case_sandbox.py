"""A sandbox that runs programs for inputs, a new process each (inside/case_server.py), and a stock of them.

Nothing goes from process to process in it, so it may serve one program after the other.
"""

import json
import socket
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

from rlkit.verify.inside.watch import PATIENCE, SECONDS_TO_START, NotRunError
from rlkit.verify.sandbox import Limits, start

_ANY_TIME = {"wall_seconds": 0.0, "cpu_seconds": 0, "case_seconds": None}


class CaseSandbox:
    """One sandbox with its server. NotRunError where it does not start; close() leaves nothing of it.

    The thread that made it must live until it is closed.
    """

    def __init__(self, limits: Limits, command: Sequence[str] | None, files: Mapping[str, bytes]) -> None:
        self.usable = True
        self._stack = ExitStack()
        try:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self._channel = self._stack.enter_context(ours)
            with theirs:
                request = {"command": command}
                sandbox = start("case_server", request, limits, theirs, files=files)
                process = self._stack.enter_context(sandbox).process
            try:
                self._receive(SECONDS_TO_START)
            except (ConnectionError, EOFError):
                raise NotRunError(f"the sandbox did not start (exit code {process.poll()})") from None
        except BaseException:
            self.close()
            raise

    def ask(self, message: dict[str, Any], files: Sequence[int]) -> dict[str, Any] | None:
        """The server's reply to a message; None where the sandbox has ended."""
        usable, self.usable = self.usable, False
        if not usable:
            return None
        try:
            socket.send_fds(self._channel, [json.dumps(message).encode()], files)
            reply = self._receive(PATIENCE * message["seconds_left"] + SECONDS_TO_START)
        except (ConnectionError, EOFError):
            return None
        self.usable = not reply["last"]
        return reply

    def close(self) -> None:
        """End it, and what runs in it."""
        self._stack.close()

    def _receive(self, seconds: float) -> dict[str, Any]:
        self._channel.settimeout(seconds)
        try:
            message = self._channel.recv(4096)
        except TimeoutError:
            raise NotRunError(f"no answer from the sandbox in {seconds:g} s") from None
        if not message:
            raise EOFError
        return json.loads(message)


class Stock:
    """Sandboxes of Python programs that wait for the next program, by their limits and who uses them.

    As many as were in use at a time; the threads that use it must live until it is closed.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[tuple[str, Limits], list[CaseSandbox]] = {}

    def take(self, user: str, limits: Limits) -> CaseSandbox:
        """One that has served programs of the same user and limits of memory and files, or a new one."""
        with self._lock:
            waiting = self._waiting.get(_key(user, limits))
            if waiting:
                return waiting.pop()
        return CaseSandbox(limits, None, {})

    def give_back(self, user: str, limits: Limits, sandbox: CaseSandbox) -> None:
        """Keep a sandbox for another program; one that is not usable is closed."""
        if not sandbox.usable:
            sandbox.close()
            return
        with self._lock:
            self._waiting.setdefault(_key(user, limits), []).append(sandbox)

    def close(self) -> None:
        """Close all that wait."""
        for sandboxes in self._waiting.values():
            for sandbox in sandboxes:
                sandbox.close()
        self._waiting.clear()


stock: ContextVar[Stock | None] = ContextVar("stock", default=None)
"""Where this thread's runners take their sandboxes from; None: a new one each."""


def _key(user: str, limits: Limits) -> tuple[str, Limits]:
    return user, replace(limits, **_ANY_TIME)
