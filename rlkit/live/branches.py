"""Where a run went back to a checkpoint, and what it left there.

The run's own files always tell of the branch that it is on. What it goes back behind is kept in
`branches/N/` (its lines of metrics.jsonl and events.jsonl), and `branches.jsonl` has a line for each.
"""

import json
import time
from pathlib import Path
from typing import Any

from rlkit.live.files import FINAL, events_path, read_lines


def leave(folder: Path, step: int, num_events: int) -> None:
    """Puts away what a run wrote after a checkpoint, before it goes on from there.

    Args:
        step: of the checkpoint.
        num_events: lines of events.jsonl that were there when it was saved.
    """
    metrics, events = folder / "metrics.jsonl", events_path(folder)
    left = [row for row in read_lines(metrics) if row.get("step", 0) > step]
    lines = read_lines(events)
    kept, gone = lines[:num_events], lines[num_events:]
    # What had begun by then, such as the checkpoint by a command itself, has ended.
    begun = {line["uuid"] for line in kept} - {line["uuid"] for line in kept if line["state"] in FINAL}
    ends = [line for line in gone if line["uuid"] in begun and line["state"] in FINAL]
    number = len(read_lines(folder / "branches.jsonl")) + 1
    branch = folder / "branches" / str(number)
    branch.mkdir(parents=True, exist_ok=True)
    _write(branch / "metrics.jsonl", left)
    _write(branch / "events.jsonl", gone)
    if events.exists():
        temporary = events.with_suffix(".tmp")
        _write(temporary, [*kept, *ends])
        temporary.replace(events)
    last = left[-1]["step"] if left else step
    line = {"branch": number, "from": step, "until": last, "time": time.time()}
    with (folder / "branches.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def tree(folder: Path) -> list[dict[str, Any]]:
    """The branches that were left, oldest first, each with the `parent` that it forked off: the number of
    another that was left later, or None for the one that the run is on.

    Left at 10, then at 5: the first hangs off the second, which had step 10.
    """
    lines = read_lines(folder / "branches.jsonl")
    for place, line in enumerate(lines):
        later = (other["branch"] for other in lines[place + 1 :] if other["from"] < line["from"])
        line["parent"] = next(later, None)
    return lines
