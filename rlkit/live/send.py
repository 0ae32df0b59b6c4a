"""A command from a script on the same machine, by the run's folder: no server is needed."""

import getpass
import time
from pathlib import Path
from typing import Any

from rlkit.live.check import check_command
from rlkit.live.command import new_command, parse
from rlkit.live.files import FINAL, request, state_of

POLL_SECONDS = 0.1


def send_words(folder: Path, words: str, who: str | None = None, wait: float = 600.0) -> dict[str, Any]:
    """Asks a run for something, and waits until it is done; a pause, until the run waits.

    Args:
        words: such as "set learning_rate 5e-7".
        who: kept with the command. Default: the user's name.
        wait: seconds.

    Returns: the command's line of `events.jsonl`.

    Raises:
        ValueError: it was refused, here or by the run, and why; or there was no answer in time.
    """
    command = new_command(*parse(words), getpass.getuser() if who is None else who, time.time())
    check_command(folder, command)
    request(folder, command)
    end = time.monotonic() + wait
    while True:
        state = state_of(folder, command.uuid) or {"state": "requested"}
        if state["state"] == "failed":
            raise ValueError(f"{words!r} was refused: {state['reason']}")
        if state["state"] in FINAL or (command.name == "pause" and state["state"] == "running"):
            return state
        if time.monotonic() > end:
            raise ValueError(
                f"{words!r} is {state['state']} after {wait:g} seconds (--wait); it is not withdrawn: the "
                "run looks at it before its next generation"
            )
        time.sleep(POLL_SECONDS)
