"""Runs a comparison and reports it: `summary.json`, `report.md` and two pictures in its folder.

OUT/settings.json           what all runs share; other settings need another folder
OUT/CELL/CURRICULUM/        a run, with CURRICULUM.log beside it; a cell is a start and a seed
"""

import fcntl
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from rlkit.arena.plan import Comparison, Run, check_metric
from rlkit.arena.processes import run_all
from rlkit.report.comparison import Runs, summarize
from rlkit.report.curves import Curve, read_curve
from rlkit.report.figure import plot_curves
from rlkit.report.findings import plot_ratios
from rlkit.report.tables import to_markdown

FILES = ("report.md", "summary.json", "curves.png", "ratios.png")
LOCK_SECONDS = 3.0
"""The runs of a comparison that was killed end by themselves within this time."""


@dataclass(frozen=True)
class Outcome:
    """What came of a comparison: the runs' curves in the order of the pairs, and the runs that failed."""

    curves: dict[str, Runs]
    failed: list[Run]

    def finished(self) -> dict[str, list[Curve]]:
        """The curves that there are, of the curricula that have any."""
        known = {name: [run for run in runs if run is not None] for name, runs in self.curves.items()}
        return {name: runs for name, runs in known.items() if runs}


def train(comparison: Comparison, processes: int, console: Console, metric: str | None = None) -> Outcome:
    """Brings every run to the budget and reads it; runs that are there already are only read.

    Raises:
        ValueError: settings that cannot work, or a folder that holds runs of other settings or is in use.
    """
    comparison.validate()
    check_metric(metric, comparison)
    if processes < 1:
        raise ValueError(f"processes ({processes}) must be at least 1")
    read = partial(read_curve, budget=comparison.budget, metric=metric)
    with locked(comparison.out) as lock:
        _check_settings(comparison)
        failed = run_all(comparison, processes, console, lambda run: _readable(read, run), lock)
    curves: dict[str, Runs] = {name: [] for name in comparison.curricula}
    for run in comparison.runs():
        curves[run.curriculum].append(None if run in failed else read(run.folder))
    return Outcome(curves, failed)


def compare(
    comparison: Comparison,
    processes: int,
    console: Console,
    targets: Sequence[float] = (),
    metric: str | None = None,
    tuned: dict[str, dict[str, Any]] | None = None,
) -> bool:
    """Trains, and writes and prints the report. Returns whether all runs came through.

    Args:
        tuned: what `rlkit.arena.tune` chose, for the report; `comparison.own` holds it for the runs.
    """
    outcome = train(comparison, processes, console, metric)
    curves = outcome.finished()
    if not curves:
        console.print("No run came through, so that there is nothing to report.")
        return False
    values = [run.value if run.value is not None else run.seed for run in _pairs(comparison)]
    summary = {
        **describe(comparison, outcome),
        "tuned": tuned,
        **summarize(outcome.curves, _numbered(values), targets),
    }
    (comparison.out / "summary.json").write_text(json.dumps(summary, indent=1))
    report = to_markdown(summary)
    (comparison.out / "report.md").write_text(report)
    title = f"{comparison.config.stem}, {len(values)} run{'s' * (len(values) > 1)} a curriculum"
    plot_curves(curves, comparison.out / "curves.png", title)
    plot_ratios(summary, comparison.out / "ratios.png")
    console.print(report, markup=False, highlight=False, soft_wrap=True)
    files = ", ".join(str(comparison.out / name) for name in FILES)
    console.print(f"Written: {files}", highlight=False, soft_wrap=True)
    return not outcome.failed


def describe(comparison: Comparison, outcome: Outcome) -> dict[str, Any]:
    """What was run, for the report's head."""
    vary = comparison.vary
    return {
        "config": str(comparison.config),
        "budget": str(comparison.budget),
        "seeds": list(comparison.seeds),
        "vary": None if vary is None else f"{vary[0]}={','.join(vary[1])}",
        "failed": [run.name for run in outcome.failed],
    }


@contextmanager
def locked(out: Path) -> Iterator[Any]:
    """The folder for one comparison at a time; waits for the runs of a killed one to end."""
    out.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + LOCK_SECONDS
    with (out / ".lock").open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise ValueError(
                        f"out ({out}) is in use by another comparison; wait for it, or choose another folder"
                    ) from error
                time.sleep(0.1)
        yield file


def _check_settings(comparison: Comparison) -> None:
    """Runs are comparable only with the same settings; curricula, seeds, starts and budget may grow."""
    path = comparison.out / "settings.json"
    now = json.loads(json.dumps(comparison.fixed_settings(), default=str))
    if not path.exists():
        if there := [str(run.folder) for run in comparison.runs() if run.folder.exists()]:
            raise ValueError(
                f"out ({comparison.out}) has no settings.json and holds {', '.join(there)}, which rlkit "
                "compare did not write and would replace; choose another folder"
            )
        path.write_text(json.dumps(now, indent=1))
        return
    before = json.loads(path.read_text())
    own = before.get("own", {})
    before["own"] = {name: own.get(name, value) for name, value in now["own"].items()}
    changed = [
        f"{name} {before.get(name)!r} -> {now.get(name)!r}"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    ]
    if changed:
        raise ValueError(
            f"out ({comparison.out}) holds runs of other settings ({'; '.join(changed)}); "
            "choose another folder, or remove this one"
        )
    path.write_text(json.dumps({**now, "own": {**own, **now["own"]}}, indent=1))


def _readable(read: Any, run: Run) -> None:
    read(run.folder)


def _pairs(comparison: Comparison) -> list[Run]:
    """The runs of one curriculum, in order."""
    return [run for run in comparison.runs() if run.curriculum == comparison.curricula[0]]


def _numbered(values: list[Any]) -> list[int]:
    """A number for each distinct value. ["a", "b", "a"] -> [0, 1, 0]"""
    known = list(dict.fromkeys(values))
    return [known.index(value) for value in values]
