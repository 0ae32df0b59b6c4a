"""How our warnings look: in color on a terminal, plain elsewhere, above a bar, from the main process only.

A program that has set up Python's logging itself gets them there, in its own form, and not here.
"""

import logging
import os

from rich.console import Console
from rich.text import Text
from tqdm.auto import tqdm


def listen() -> None:
    """Shows the warnings of rlkit from here on; a second call changes nothing."""
    logger = logging.getLogger("rlkit")
    if not any(isinstance(handler, Voice) for handler in logger.handlers):
        logger.addHandler(Voice(logging.WARNING))


def speaks() -> bool:
    """Whether this is the process that talks to the person, by the launcher's environment."""
    return os.environ.get("RANK", "0") == "0"


class Voice(logging.Handler):
    """Prints a record as `rlkit: warning: ...` on standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        if logging.getLogger().handlers or not speaks():
            return
        text = Text.assemble((f"rlkit: {record.levelname.lower()}:", "bold yellow"), " ", record.getMessage())
        with tqdm.external_write_mode():
            Console(stderr=True).print(text, soft_wrap=True)
