"""A live run's side of its files: hears what is asked, tells what became of it, and says what the run is."""

import time
from pathlib import Path
from typing import Any

from rlkit.live.command import Command
from rlkit.live.files import FINAL, Events, Requests, all_events, command_of_event, hold_life, write_status

FLUSH_SHARE, FLUSH_SECONDS = 0.02, 10.0
"""The page reads the ledger from the disk: there it goes when this share of the run's time, and at least so
many seconds, have passed since it last did."""
MOST_NAMED = 500
"""Categories that the page offers; any can be written."""


class Desk:
    """Reads and writes the files on the main process of a live run; elsewhere it hears and tells nothing."""

    def __init__(self, trainer: Any, folder: Path, writes: bool):
        self.trainer = trainer
        self.folder = folder
        self.writes = writes

    def open(self) -> None:
        """Opens the files. What is left of a run that ended before it was done is not taken up."""
        if not self.writes:
            return
        (self.folder / "live").mkdir(parents=True, exist_ok=True)
        self._life = hold_life(self.folder)
        self._events, self._requests = Events(self.folder), Requests(self.folder)
        lines = all_events(self.folder)
        commands = {line["uuid"]: command_of_event(line) for line in lines}
        commands |= {command.uuid: command for command in self._requests.new()}
        ended = {line["uuid"] for line in lines if line["state"] in FINAL}
        for command in commands.values():
            if command.uuid not in ended:
                self.tell(command, "failed", reason="the run ended before it was done; ask again")
        values = self.trainer.pool.column("category")
        self._categories = [] if values is None else sorted({str(value) for value in values})[:MOST_NAMED]
        self._flushed = self._started = time.monotonic()

    def close(self, waiting: list[Command]) -> None:
        """Refuses what still waits, and lets go of the sign of life."""
        if not self.writes:
            return
        for command in [*waiting, *self._requests.new()]:
            self.tell(command, "failed", reason="the run is over")
        self._life.release()

    def asked(self) -> list[Command]:
        """What was asked for since the last look."""
        return self._requests.new() if self.writes else []

    def tell(self, command: Command, state: str, step: int | None = None, **more: Any) -> None:
        """Writes what became of a command, at the next step where none is given."""
        if self.writes:
            next_step = self.trainer.state.global_step + 1
            self._events.write(command, state, next_step if step is None else step, **more)

    def say(self, word: str, **more: Any) -> None:
        """Writes what the run is, and can be set to."""
        if not self.writes:
            return
        state = self.trainer.state
        status = {
            "state": word,
            "step": state.global_step,
            "max_steps": state.max_steps,
            "categories": self._categories,
            **more,
        }
        write_status(self.folder, status)

    def flush_now_and_then(self) -> None:
        now = time.monotonic()
        if self.writes and now - self._flushed > max(FLUSH_SHARE * (now - self._started), FLUSH_SECONDS):
            self.trainer.record.flush()
            self._flushed = time.monotonic()
