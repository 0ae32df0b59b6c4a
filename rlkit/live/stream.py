"""Server-sent events of a run: what is new in its files, looked at twice a second."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from rlkit.live.files import commands_path, events_path, status_path

POLL_SECONDS = 0.5
PANEL_SECONDS = 2.0
"""Between two looks at what shows in no file's time: a killed run, a new checkpoint."""
SILENCE_SECONDS = 15.0
"""After which a line without meaning says that the server lives."""


class Tail:
    """The whole lines that a file of JSON lines has got since the last look."""

    def __init__(self, path: Path, at_end: bool):
        self.path = path
        self._offset = path.stat().st_size if at_end and path.exists() else 0

    def new(self) -> list[dict[str, Any]]:
        try:
            size = os.stat(self.path).st_size
        except OSError:
            return []
        if size < self._offset:  # a run went back to a checkpoint
            self._offset = 0
        if size == self._offset:
            return []
        with self.path.open("rb") as file:
            file.seek(self._offset)
            text = file.read(size - self._offset)
        whole = text[: text.rfind(b"\n") + 1]
        self._offset += len(whole)
        return [json.loads(line) for line in whole.splitlines() if line.startswith(b"{")]


def stamps(paths: list[Path]) -> list[tuple[int, int] | None]:
    """What changes when one of the files does."""
    found = []
    for path in paths:
        try:
            stat = path.stat()
            found.append((stat.st_mtime_ns, stat.st_size))
        except OSError:
            found.append(None)
    return found


async def events(folder: Path, panel: Callable[[], dict[str, Any]]) -> AsyncIterator[str]:
    """The stream of one reader: `steps` (new lines of metrics.jsonl), and `panel` at the beginning and when
    commands, their states or the run's change."""
    steps = Tail(folder / "metrics.jsonl", at_end=True)
    watched = [commands_path(folder), events_path(folder), status_path(folder), folder / "branches.jsonl"]
    before, shown, age, silence = None, "", 0.0, 0.0
    while True:
        now = stamps(watched)
        age, silence = age + POLL_SECONDS, silence + POLL_SECONDS
        if now != before or age >= PANEL_SECONDS:
            before, age, text = now, 0.0, json.dumps(await asyncio.to_thread(panel))
            if text != shown:
                shown, silence = text, 0.0
                yield f"event: panel\ndata: {text}\n\n"
        rows = steps.new()
        if rows:
            silence = 0.0
            yield f"event: steps\ndata: {json.dumps(rows)}\n\n"
        if silence >= SILENCE_SECONDS:
            silence = 0.0
            yield ": still there\n\n"
        await asyncio.sleep(POLL_SECONDS)
