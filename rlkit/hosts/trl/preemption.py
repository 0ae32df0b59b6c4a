"""SIGTERM, which schedulers send before they take a machine: a checkpoint at the step's end, then an end."""

import signal
import threading
import time
from typing import Any

import torch
from transformers import TrainerCallback

REPEATED_SECONDS = 2.0
"""A launcher passes on what the scheduler has sent its workers already: a signal that comes so soon again is
the same one."""


class Preemption(TrainerCallback):
    """Ends the training after the step in which any process got SIGTERM, with a checkpoint.

    A context manager: the handler is there inside it only, and only in the main thread, as Python wants it.
    A second SIGTERM ends the process at once. Processes agree at each step's end, by a sum of one number.
    """

    def __init__(self, accelerator: Any):
        self.accelerator = accelerator
        self.stopped = False
        self._signaled: float | None = None
        self._before: Any = None

    def __enter__(self) -> "Preemption":
        self.stopped, self._signaled = False, None
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGTERM, self._handle)
        return self

    def __exit__(self, *error: Any) -> None:
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)
            self._before = None

    def _handle(self, number: int, frame: Any) -> None:
        if self._signaled is None:
            self._signaled = time.monotonic()
        elif time.monotonic() - self._signaled > REPEATED_SECONDS:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.raise_signal(signal.SIGTERM)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.is_asked():
            self.stopped = True
            control.should_training_stop = True
            control.should_save = True
            control.should_evaluate = False  # there is no time for it

    def is_asked(self) -> bool:
        """Whether any process got the signal; all must call it at once."""
        signaled = self._signaled is not None
        if self.accelerator.num_processes == 1:
            return signaled
        flag = torch.tensor(float(signaled), device=self.accelerator.device)
        return bool(self.accelerator.reduce(flag, reduction="sum") > 0)
