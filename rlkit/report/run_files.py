"""The files of a run as they lie there: also of one that is still running, whose last lines may be half."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

METRICS, HELDOUT, EVENTS, CONFIG = "metrics.jsonl", "heldout.jsonl", "events.jsonl", "config.yaml"

Row = dict[str, Any]


def check_run(folder: Path) -> None:
    """Raises ValueError where the folder is not that of a run, with what is missing."""
    if not folder.exists():
        raise ValueError(f"run ({folder}): there is no such folder; give a run's output_dir")
    if not folder.is_dir():
        raise ValueError(f"run ({folder}) is a file; give the folder that holds metrics.jsonl and ledger/")
    if not (folder / METRICS).exists():
        inside = sorted(path.parent.name for path in folder.glob(f"*/{METRICS}"))
        remedy = f"; it holds runs: {', '.join(inside)}" if inside else "; give a run's output_dir"
        raise ValueError(f"run ({folder}) has no {METRICS}{remedy}")


def read_lines(path: Path) -> list[Row]:
    """The objects of a file with one JSON object a line; none where there is no file.

    A last line without its end is still being written and is left out.

    Raises:
        ValueError: another line cannot be read: which one.
    """
    if not path.exists():
        return []
    *lines, _half = path.read_text(encoding="utf-8", errors="replace").split("\n")
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict):
            raise ValueError(f"{path}: line {number} is not a JSON object ({line[:60]!r}); remove or mend it")
        rows.append(row)
    return rows


def read_metrics(folder: Path) -> list[Row]:
    """The lines of `metrics.jsonl`, in order of steps."""
    rows = read_lines(folder / METRICS)
    for number, row in enumerate(rows, start=1):
        if not isinstance(row.get("step"), int | float):
            raise ValueError(f"{folder / METRICS}: line {number} has no step; remove or mend it")
    return sorted(rows, key=lambda row: row["step"])


def read_evaluations(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Held-out measures by name: (step, value) in order. Of `heldout.jsonl`, and of TRL's evaluations in the
    last checkpoint: the mean of each reward, and the benchmarks."""
    found: dict[str, dict[int, float]] = {}
    for row in read_lines(folder / HELDOUT):
        if _is_number(row.get("accuracy")):
            found.setdefault("accuracy", {})[int(row["step"])] = float(row["accuracy"])
    for row in _trainer_history(folder):
        for name, value in row.items():
            if _is_measure(name) and _is_number(value):
                found.setdefault(name.removeprefix("eval_"), {})[int(row["step"])] = float(value)
    return {name: sorted(values.items()) for name, values in found.items()}


def _trainer_history(folder: Path) -> list[Row]:
    states = folder.glob("checkpoint-*/trainer_state.json")
    for path in sorted(states, key=lambda path: path.stat().st_mtime, reverse=True):
        try:
            return json.loads(path.read_text(encoding="utf-8"))["log_history"]
        except (ValueError, OSError):  # being written, or just deleted
            continue
    return []


def _is_measure(name: str) -> bool:
    of_reward = name.startswith("eval_rewards/") and name.endswith("/mean")
    return of_reward or (name.startswith("eval_") and name.endswith("accuracy"))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def read_config(folder: Path) -> dict[str, Any]:
    """The settings of `config.yaml` that have a value, without sections; none where there is no file."""
    path = folder / CONFIG
    if not path.exists():
        return {}
    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise ValueError(f"{path} cannot be read ({' '.join(str(error).split())}); mend it") from error
    if not isinstance(settings, Mapping):
        raise ValueError(f"{path} holds no settings; write one `name: value` a line")
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        flat |= value if isinstance(value, Mapping) else {name: value}
    return {name: value for name, value in flat.items() if value not in (None, [], {}, "")}
