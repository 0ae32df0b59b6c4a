"""The trainer's side of the rollout process: TRL's `RolloutWorkerProtocol` over a `Flow`.

A thread sends orders and takes outcomes in, so that the curriculum goes on choosing while the policy updates.
"""

import logging
import multiprocessing as mp
import queue
import threading
import time
from collections import Counter
from multiprocessing.connection import Connection
from typing import Any

from rlkit.hosts.async_trl.flow import Flow
from rlkit.hosts.async_trl.messages import Failure, GradingErrors, Outcome
from rlkit.hosts.async_trl.outbox import Outbox
from rlkit.hosts.trl.watch import NothingGradedError

logger = logging.getLogger(__name__)

MOST_RESTARTS = 3
"""Ends of the rollout process in a row, without a group in between, after which the run ends."""
MOST_FAILURES = 3
"""Failed groups in a row after which the run ends, as a multiple of a step's. TRL tries each 30 times."""
MOST_TRIES = 3
"""Of a prompt whose group fails, after which others come; the curriculum may propose it again later."""
POLL_SECONDS = 0.05


class RolloutWorker:
    """Rolls out what the flow proposes, and gives the trainer's loader what the flow gives.

    `settings` are those of `OrderedLoop`; they are complete when the trainer is made. `rollout_buffer` is the
    worker itself, as far as the loader wants a queue: `get` and `qsize`.
    """

    def __init__(self, settings: dict[str, Any], max_ungraded_groups: int, ready_timeout: float = 300.0):
        self.settings, self.max_ungraded_groups = settings, max_ungraded_groups
        self.ready_timeout = ready_timeout
        self.flow: Flow | None = None
        self.metrics_queue: Any = queue.Queue(maxsize=4096)
        self.rollout_buffer: Any = self
        self.num_errors = 0
        """Completions since the last step that a reward function failed on."""
        self.last_failure = ""
        self.changed = threading.Condition()
        """Held by whoever touches the flow."""
        self._error: BaseException | None = None
        self._failures = self._restarts = 0
        self._tries: Counter[int] = Counter()
        self._process: Any = None
        self._connection: Connection | None = None
        self._outbox: Outbox | None = None
        self._stopping = threading.Event()

    # -- TRL's protocol

    def start(self) -> None:
        self._stopping.clear()
        self._launch()
        self._thread = threading.Thread(target=self._serve, name="rlkit-rollouts", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        if self._process is None:
            return
        self._stopping.set()
        self._thread.join()
        self._kill()

    def update_model_version(self, model_version: int) -> None:
        with self.changed:
            if self.flow is not None:
                self.flow.version = model_version
        self._send(model_version)

    def check_health(self, stale_after_s: float) -> None:
        """Raises what ended the thread; a rollout process that shows no life is replaced by a new one."""
        with self.changed:
            if self._error is not None:
                raise self._error
            process = self._process  # the thread may be replacing it
            if process is not None and time.monotonic() - self._alive > stale_after_s:
                logger.warning("the rollout process showed no life for %.0f s: it is replaced", stale_after_s)
                process.kill()

    # -- the queue that the loader drains

    def get(self, timeout: float | None = None) -> Any:
        """The next row for the update; waits for it.

        Raises:
            queue.Empty: none came in time.
            What ended the run, in words: nothing could be graded, the server or the rollout process failed.
        """
        assert self.flow is not None
        deadline = None if timeout is None else time.monotonic() + timeout
        with self.changed:
            while True:
                if self._error is not None:
                    raise self._error
                sample = self.flow.give()
                if sample is not None:
                    return sample
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    raise queue.Empty
                self.changed.wait(left)

    def put_nowait(self, sample: Any) -> None:
        raise NotImplementedError("only the flow fills this queue")

    def qsize(self) -> int:
        """Groups that wait for the update."""
        return 0 if self.flow is None else len(self.flow.ready)

    # -- the thread

    def _serve(self) -> None:
        try:
            while not self._stopping.is_set():
                self._order()
                self._receive()
        except BaseException as error:  # the trainer's thread raises it
            with self.changed:
                self._error = error
                self.changed.notify_all()

    def _order(self) -> None:
        assert self.flow is not None
        with self.changed:
            orders = self.flow.propose()
        for order in orders:
            self._send(order)

    def _receive(self) -> None:
        assert self._connection is not None
        try:
            if not self._connection.poll(POLL_SECONDS):
                return
            message = self._connection.recv()
        except (EOFError, OSError):
            self._restart()
            return
        self._alive = time.monotonic()
        with self.changed:
            self._take(message)
            self.changed.notify_all()

    def _take(self, message: Any) -> None:
        assert self.flow is not None
        match message:
            case Outcome():
                self._failures = self._restarts = 0
                self.flow.graded(message)
                if self.flow.num_ungraded >= self.max_ungraded_groups:
                    raise NothingGradedError(
                        f"no completion of the last {self.flow.num_ungraded} groups could be graded "
                        f"(max_ungraded_steps); the last failure: {self.last_failure or 'none was told'}. "
                        "Mend the reward, and go on with --resume auto"
                    )
            case Failure(number, reason):
                self.last_failure = reason
                index = self.flow.in_flight[number].index
                self._tries[index] += 1
                again = self._tries[index] % MOST_TRIES > 0
                fate = "comes again" if again else f"is passed over after {MOST_TRIES} tries"
                logger.warning(
                    "group %d of row %d was not rolled out and %s: %s", number, index, fate, reason
                )
                self.flow.lose([number], again)
                self._failures += 1
                if self._failures >= MOST_FAILURES * self.flow.num_groups:
                    raise RuntimeError(
                        f"{self._failures} groups in a row could not be rolled out; the last failure: "
                        f"{reason}. Look at the vLLM server ({self.settings['vllm_server_url']}), and go on "
                        "with --resume auto"
                    )
            case GradingErrors(name, num_rows, reason):
                self.num_errors += num_rows
                self.last_failure = f"{name}: {reason}"
                logger.warning(
                    "reward function %s failed on %d completions, which count as unscorable: %s",
                    name,
                    num_rows,
                    reason,
                )
            case dict():
                if not self.metrics_queue.full():
                    self.metrics_queue.put_nowait(message)

    # -- the process

    def _launch(self) -> None:
        from rlkit.hosts.async_trl.loop import main

        context = mp.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(
            target=main, args=(theirs, self.settings), name="rlkit-rollouts", daemon=True
        )
        process.start()
        theirs.close()  # so that reading ends where the process does
        if not ours.poll(self.ready_timeout):
            process.kill()
            raise RuntimeError(f"the rollout process was not ready in {self.ready_timeout:.0f} s")
        self._process, self._connection, self._alive = process, ours, time.monotonic()
        self._outbox = Outbox(ours, gone=lambda: None)  # which shows when it is read from
        assert self.flow is not None
        self._send(self.flow.version)

    def _restart(self) -> None:
        assert self.flow is not None
        self._kill()
        self._restarts += 1
        if self._restarts > MOST_RESTARTS:
            raise RuntimeError(
                f"the rollout process ended {self._restarts} times in a row before it had graded a group; "
                "its own words are above"
            )
        with self.changed:
            num = len(self.flow.in_flight)
            logger.warning("the rollout process ended: a new one starts, and %d groups come again", num)
            self.flow.lose(list(self.flow.in_flight))
        self._launch()

    def _kill(self) -> None:
        assert self._connection is not None and self._outbox is not None
        self._process.kill()
        self._process.join()
        self._outbox.close()  # only now: a full pipe to a process that hangs ends with the process
        self._connection.close()
        self._process = None

    def _send(self, message: Any) -> None:
        """To the process, if there is one."""
        if self._outbox is not None:
            self._outbox.put_nowait(message)
