"""Everything that the page of a run shows, read from what the run left so far, as one object for JSON.

    name, step, preset, config     which run it is, and how far
    axes                           steps, rollouts, tokens, seconds: the ends of the curves' points
    curves                         columns of metrics.jsonl over these points; None where a step has none
    evaluations                    held-out measures: `value` and the four axes of each
    marks                          lines of events.jsonl that took effect, with the four axes
    calibration                    run_calibration.py; None where nothing was predicted
    prompts                        run_prompts.py
    completions                    run_completions.py
    problems                       run_problems.py
    funnel                         run_funnel.py
    cost                           run_cost.py
    sentences                      run_sentences.py
    notes                          what the reader should know of the data, such as how far the ledger goes

Nothing here changes the run, and it may go on meanwhile.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rlkit.record.pool_table import PoolTable, read_pool
from rlkit.report.run_calibration import calibration
from rlkit.report.run_completions import MOST_BYTES, completions
from rlkit.report.run_cost import cost
from rlkit.report.run_curves import axes, curves, evaluation_curve
from rlkit.report.run_files import EVENTS, check_run, read_config, read_evaluations, read_lines, read_metrics
from rlkit.report.run_funnel import whole_funnel
from rlkit.report.run_groups import GroupTable, read_groups, signal_range
from rlkit.report.run_problems import problems
from rlkit.report.run_prompts import prompts
from rlkit.report.run_sentences import sentences

POINTS = 1000
"""Of a curve at most: a longer run's steps are put together."""
DIGITS = 5
"""Of a number on the page."""

Rows = Sequence[Mapping[str, Any]]


def read_run(folder: Path, points: int = POINTS, completion_bytes: float = MOST_BYTES) -> dict[str, Any]:
    """The page's data of a run, finished or not.

    Args:
        folder: its output_dir.
        points: of a curve at most.
        completion_bytes: of the texts of completions.

    Raises:
        ValueError: the folder is not a run's, or a line of its files is broken.
    """
    check_run(folder)
    rows, config = read_metrics(folder), read_config(folder)
    groups = read_groups(folder)
    low, high = signal_range(groups, config)
    pool = read_pool(folder)
    run: dict[str, Any] = {
        "name": folder.resolve().name,
        "step": rows[-1]["step"] if rows else 0,
        "preset": config.get("curriculum"),
        "config": {name: value for name, value in config.items() if isinstance(value, str | int | float)},
        "range": [low, high],
        "axes": axes(rows, points),
        "curves": curves(_with_means(rows, groups), points),
        "evaluations": {
            name: evaluation_curve(values, rows) for name, values in read_evaluations(folder).items()
        },
        "marks": _marks(folder, rows),
        "calibration": calibration(groups, low, high),
        "prompts": prompts(groups, low, high, pool, _pool_size(pool, groups, rows)),
        "completions": completions(folder, groups, completion_bytes),
        "problems": problems(rows, config),
        "funnel": whole_funnel(rows),
        "cost": cost(rows),
        "notes": _notes(groups, rows, points),
    }
    run["sentences"] = sentences(run, rows)
    return _rounded(run)


def read_runs(folders: Sequence[Path]) -> list[dict[str, Any]]:
    """The data of several runs for one page: their texts share its room, and their names differ.

    Raises:
        ValueError: as `read_run`, or a run is named twice.
    """
    places = [folder.resolve() for folder in folders]
    if len(set(places)) < len(places):
        raise ValueError(f"runs ({', '.join(map(str, folders))}): one is named twice; name each once")
    runs = [read_run(folder, POINTS, MOST_BYTES / len(folders)) for folder in folders]
    for run, name in zip(runs, short_names(places), strict=True):
        run["name"] = name
    return runs


def short_names(places: Sequence[Path]) -> list[str]:
    """The ends of the paths that tell them apart: a/x/run, b/x/run -> a/x/run, b/x/run; a/x, a/y -> x, y"""
    for length in range(1, max(len(place.parts) for place in places) + 1):
        names = ["/".join(place.parts[-length:]) for place in places]
        if len(set(names)) == len(names):
            break
    return names


def _with_means(rows: Rows, groups: GroupTable) -> list[dict[str, Any]]:
    """The rows with the mean tokens of a completion, and the mean reward where that is not the signal."""
    rewarded = np.isfinite(groups.reward_P)
    step, reward = groups.step_P[rewarded], groups.reward_P[rewarded]
    sums, counts = np.bincount(step, weights=reward), np.bincount(step)
    means = {int(each): sums[each] / counts[each] for each in np.unique(step)}
    if np.allclose(reward, groups.mean_P[rewarded], equal_nan=True):
        means = {}
    more = []
    for row in rows:
        spent = row.get("rollouts/spent") or 0
        tokens = {"tokens/completion": (row.get("tokens/generated") or 0) / spent} if spent else {}
        reward_mean = {"reward/all": means[row["step"]]} if row["step"] in means else {}
        more.append({**row, **tokens, **reward_mean})
    return more


def _pool_size(pool: PoolTable, groups: GroupTable, rows: Rows) -> int | None:
    """Prompts in the pool: those written down, or what the share that was visited says."""
    if pool.size is not None:
        return pool.size
    if len(groups) == 0:
        return None
    step = int(groups.step_P[-1])
    coverage = next((row.get("pool/coverage") for row in rows if row["step"] == step), None)
    return round(len(np.unique(groups.index_P)) / coverage) if coverage else None


def _marks(folder: Path, rows: Rows) -> list[dict[str, Any]]:
    """What changed the run: commands that took effect, a mark for each setting, and notes."""
    events = [event for event in read_lines(folder / EVENTS) if event.get("state", "done") == "done"]
    changes = [change for event in events for change in _changes(event)]
    steps = [(int(change.get("step") or 0), 0.0) for change in changes]
    places = evaluation_curve(steps, rows)
    return [
        {
            **{name: change.get(name) for name in ("uuid", "time", "command", "name", "old", "new", "who")},
            **{axis: places[axis][number] for axis in ("steps", "rollouts", "tokens", "seconds")},
        }
        for number, change in enumerate(changes)
    ]


def _changes(event: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What a line of events.jsonl changed: the settings of `set` one by one, others as they are."""
    old, new = event.get("old"), event.get("new")
    if event.get("name") != "set" or not isinstance(old, Mapping) or not isinstance(new, Mapping):
        return [event]
    return [
        {**event, "command": "set", "name": name, "old": old.get(name), "new": value}
        for name, value in new.items()
    ]


def _notes(groups: GroupTable, rows: Rows, points: int) -> list[str]:
    notes = []
    if rows and len(groups) == 0:
        notes.append("The ledger has no groups yet: it is written at every checkpoint.")
    elif rows and int(groups.step_P[-1]) < rows[-1]["step"]:
        notes.append(
            f"Prompts and predictions are those up to step {int(groups.step_P[-1])}, the last in the ledger."
        )
    if len(rows) > points:
        notes.append(f"Each point of a curve is a mean over {len(rows) / points:.3g} steps.")
    return notes


def _rounded(value: Any) -> Any:
    """Numbers with as many digits as can be read, and none that JSON cannot hold."""
    if isinstance(value, Mapping):
        return {name: _rounded(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    if isinstance(value, bool | int) or not isinstance(value, float):
        return value
    if not np.isfinite(value):
        return None
    short = float(f"{value:.{DIGITS}g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short
