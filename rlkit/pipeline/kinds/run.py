"""`run`: any command. The plan names what it takes and makes, and puts them into the command by {name}:

    clean:
      kind: run
      takes: {rows: data.jsonl}
      settings:
        command: python scripts/clean.py {rows} --out {clean}
        outputs: {clean: clean.jsonl}    # in the stage's folder, which is {folder}

`python` is the one that runs the pipeline.
"""

import shlex
import sys
from collections.abc import Iterable, Mapping
from shlex import quote
from typing import Any

from rlkit.pipeline.kinds.kind import Call, Kind


def _command(call: Call) -> list[str]:
    names = {name: quote(str(call.folder / path)) for name, path in call.settings["outputs"].items()}
    names |= {name: shlex.join(paths) for name, paths in call.takes.items()}
    words = shlex.split(str(call.settings["command"]).format(**names, folder=quote(str(call.folder))))
    return [sys.executable if words[0] == "python" else words[0], *words[1:]]


def check_command(settings: Mapping[str, Any], takes: Iterable[str]) -> None:
    """Raises ValueError where the command or its outputs cannot be read, before anything runs."""
    outputs, command = settings["outputs"], str(settings["command"])
    if not isinstance(outputs, Mapping):
        raise ValueError(f"outputs ({outputs!r}) must map names to files, as {{rows: rows.jsonl}}")
    for name, path in outputs.items():
        if not isinstance(path, str) or not path:
            raise ValueError(f"outputs.{name} ({path!r}) must be a file or folder in the stage's folder")
        if name in takes:
            raise ValueError(f"outputs.{name} has the name of what the stage takes; rename one")
    names = [*takes, *outputs, "folder"]
    try:
        words = shlex.split(command.format(**dict.fromkeys(names, "x")))
    except (KeyError, IndexError, ValueError) as error:
        raise ValueError(
            f"command ({command}) has braces or quotes that do not fit ({error}); in braces are "
            f"{', '.join(names)}, and {{{{ and }}}} are plain ones"
        ) from error
    if not words:
        raise ValueError("command is blank; give a program and its arguments")


RUN = Kind("run", _command, takes=None, makes=None, needed=("command", "outputs"))
