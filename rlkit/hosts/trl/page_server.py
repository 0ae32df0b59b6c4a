"""The server of a run's live page, as a process of its own that ends with the run's."""

import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from rlkit.live import check_installed

logger = logging.getLogger(__name__)


class PageServer(TrainerCallback):
    """Starts `rlkit live` beside a training. The training does not wait for it, and says so when it dies.

    Example: `callbacks=[PageServer()] if settings.live else None`
    """

    def __init__(self) -> None:
        check_installed()
        self._process: subprocess.Popen | None = None
        self._is_told = False

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if not state.is_world_process_zero or self._process is not None:
            return
        folder = Path(args.output_dir)
        words = [sys.executable, "-m", "rlkit.cli", "live", str(folder), "--parent", str(os.getpid())]
        self._process = subprocess.Popen(words, stdin=subprocess.DEVNULL)

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self._process is None or self._is_told or self._process.poll() is None:
            return
        self._is_told = True
        logger.warning(
            "the server of the live page has ended (exit code %d); the run goes on, and `rlkit live %s` "
            "starts another",
            self._process.returncode,
            args.output_dir,
        )
