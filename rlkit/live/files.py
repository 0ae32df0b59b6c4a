"""The files in which a run and whoever steers it meet, all in the run's folder.

    live/commands.jsonl   what was asked for: appended by servers and scripts under a lock, read by the run
    live/status.json      what the run is and can be set to, replaced by the run when it changes
    live/running          locked by the run while it lives, so that its death shows
    events.jsonl          what became of each command, appended by the run
    branches.jsonl, branches/N/   where the run went back, and the lines of what it left there

The run only ever looks whether commands.jsonl has grown. A line that a killed writer left unfinished is
skipped.
"""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from rlkit.live.command import Command, new_command, read_json

FINAL = ("done", "failed")
LARGEST = 64 * 1024 * 1024
"""Bytes of commands.jsonl after which no more are taken: nobody steers so much by hand."""


def commands_path(folder: Path) -> Path:
    return folder / "live" / "commands.jsonl"


def events_path(folder: Path) -> Path:
    return folder / "events.jsonl"


def status_path(folder: Path) -> Path:
    return folder / "live" / "status.json"


def request(folder: Path, command: Command) -> None:
    """Appends a command for the run to find.

    Raises:
        ValueError: too many were asked for already.
    """
    path = commands_path(folder)
    with FileLock(path.with_suffix(".lock")), path.open("ab+") as file:
        if file.tell() > LARGEST:
            raise ValueError(f"{path.name} has more than {LARGEST} bytes: no more commands are taken")
        if file.tell() and not _ends_whole(path):
            file.write(b"\n")
        file.write(f"{json.dumps(command.to_json())}\n".encode())
        file.flush()
        os.fsync(file.fileno())


def _ends_whole(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() == b"\n"


class Requests:
    """What was asked for since the last look: one call of the system where nothing was."""

    def __init__(self, folder: Path):
        self.path = commands_path(folder)
        self._offset = 0

    def new(self) -> list[Command]:
        """Commands in the order in which they came; lines that are none are left out."""
        try:
            size = os.stat(self.path).st_size
        except OSError:
            return []
        if size <= self._offset:
            return []
        with self.path.open("rb") as file:
            file.seek(self._offset)
            text = file.read(size - self._offset)
        whole = text[: text.rfind(b"\n") + 1]
        self._offset += len(whole)
        return [command for line in whole.splitlines() if (command := _command(line)) is not None]


def _command(line: bytes) -> Command | None:
    try:
        given = read_json(line)
        return new_command(
            given["name"], given["value"], given["who"], float(given["time"]), str(given["uuid"])
        )
    except (ValueError, KeyError, TypeError, UnicodeDecodeError, OverflowError):
        return None


def command_of_event(line: dict[str, Any]) -> Command:
    """The command that a line of `events.jsonl` tells of."""
    return Command(line["uuid"], line["name"], line["value"], line["who"], line["asked"])


class Events:
    """`events.jsonl`, as the run writes it: a line each time that a command's state changes."""

    def __init__(self, folder: Path):
        self._path = events_path(folder)

    def write(self, command: Command, state: str, step: int, **more: Any) -> None:
        """`step` is the first that the command counts for; `more` are old, new and reason."""
        line = {
            "time": time.time(),
            "step": step,
            **{name: getattr(command, name) for name in ("uuid", "name", "value", "who")},
            "asked": command.time,
            "state": state,
            **more,
        }
        with self._path.open("ab+") as file:
            if file.tell() and not _ends_whole(self._path):
                file.write(b"\n")
            file.write(f"{json.dumps(line)}\n".encode())
            file.flush()
            os.fsync(file.fileno())


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a file of JSON lines; none where there is no file."""
    return list(_lines(path))


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        text = path.read_bytes()
    except OSError:
        return
    for line in text.splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            yield value


def states(folder: Path) -> list[dict[str, Any]]:
    """Every command with its latest state, in the order in which they were asked for."""
    found = {
        command.uuid: {**command.to_json(), "asked": command.time, "state": "requested"}
        for command in Requests(folder).new()
    }
    for event in all_events(folder):
        found[event.get("uuid", "")] = event
    return list(found.values())


def all_events(folder: Path) -> list[dict[str, Any]]:
    """Lines of `events.jsonl`, after those of the branches that the run has left."""
    left = sorted((folder / "branches").glob("*/events.jsonl"), key=lambda path: int(path.parent.name))
    return [line for path in [*left, events_path(folder)] for line in read_lines(path)]


def state_of(folder: Path, uuid: str) -> dict[str, Any] | None:
    return next((state for state in states(folder) if state.get("uuid") == uuid), None)


def write_status(folder: Path, status: dict[str, Any]) -> None:
    path = status_path(folder)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(status))
    temporary.replace(path)


def read_status(folder: Path) -> dict[str, Any] | None:
    """What the run said last of itself, with `alive`; None where it takes no commands and never did."""
    try:
        status = json.loads(status_path(folder).read_text())
    except (OSError, ValueError):
        return None
    return {**status, "alive": is_alive(folder)}


def hold_life(folder: Path) -> FileLock:
    """Marks the run as alive until the lock is released or the process ends, however it ends."""
    lock = FileLock(folder / "live" / "running", thread_local=False)
    lock.acquire(timeout=10)
    return lock


def is_alive(folder: Path) -> bool:
    try:
        with FileLock(folder / "live" / "running", timeout=0):
            return False
    except Timeout:
        return True
    except OSError:
        return False
