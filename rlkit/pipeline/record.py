"""What is known of a stage that is done: `record.json` in its folder, written last.

While a stage runs, its folder has the ending `.partial`, with what it was begun with in `begun.json`; whole,
it is renamed. So a folder without the ending is whole, and what a kill left is never taken for done.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rlkit.record.disk import put_in_place, sync

RECORD, BEGUN, LOG = "record.json", "begun.json", "log.txt"
OF_THE_PIPELINE = (RECORD, BEGUN, LOG)
"""What it writes into a stage's folder itself."""


@dataclass(frozen=True)
class Identity:
    """What a stage's outputs depend on.

    `takes` holds the inputs' digests by name, `files` those of files that the settings name.
    """

    kind: str
    settings: Mapping[str, Any]
    takes: Mapping[str, list[str]]
    files: Mapping[str, str]

    def changes_since(self, old: Mapping[str, Any]) -> list[str]:
        """In words, what differs from an earlier one: ["max_steps was 100, is 200", "data has changed"]."""
        if old.get("kind") != self.kind:
            return [f"its kind was {old.get('kind')}, is {self.kind}"]
        before, found = old.get("settings", {}), []
        for name in dict.fromkeys([*before, *self.settings]):
            was, now = before.get(name), self.settings.get(name)
            if was != now:
                found.append(f"{name} was {was}, is {now}")
        for group in ("takes", "files"):
            were, are = old.get(group, {}), getattr(self, group)
            for name in dict.fromkeys([*were, *are]):
                if name in were and name in are and were[name] != are[name]:
                    found.append(f"{name} has changed")
                elif group == "takes" and were.get(name) != are.get(name):
                    found.append(f"it takes {name} now" if name in are else f"it takes no {name} any more")
        return found


@dataclass(frozen=True)
class Record:
    """A stage that is done. `makes` holds its outputs' digests, `seconds` what the last attempt took."""

    identity: Identity
    makes: Mapping[str, str]
    numbers: Mapping[str, float]
    seconds: float
    command: list[str]


def read_json(path: Path) -> dict[str, Any] | None:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(data, indent=1) + "\n")
    put_in_place(temporary, path)


def read_record(folder: Path) -> Record | None:
    """The record in a stage's folder; None where it was not done."""
    data = read_json(folder / RECORD)
    return None if data is None else Record(Identity(**data.pop("identity")), **data)


def write_record(partial: Path, folder: Path, record: Record) -> None:
    """Makes a stage done: its record, then its folder's name."""
    write_json(partial / RECORD, asdict(record))
    finish_rename(folder)


def whole_of(folder: Path) -> Path:
    """Where a stage's outputs are: still under `.partial` where a kill came before the rename."""
    partial = partial_of(folder)
    return partial if (partial / RECORD).exists() else folder


def finish_rename(folder: Path) -> None:
    """Gives a stage's folder its name where it is whole and has not got it yet."""
    partial = whole_of(folder)
    if partial != folder:
        if folder.exists():
            shutil.rmtree(folder)
        partial.rename(folder)
        sync(folder.parent)


def partial_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.partial")
