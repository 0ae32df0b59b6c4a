"""Runs side by side, each with a log; shows how far they are; a failure is told and stops nothing."""

import json
import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from rlkit.arena.child import FINISHED
from rlkit.arena.plan import Comparison, Run
from rlkit.settings.budget import Budget

LOG_LINES = 15
"""Of a failed run's log that are shown."""
POLL_SECONDS = 0.1

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
LIVE_LOG = {"PYTHONUNBUFFERED": "1"}


def run_all(
    comparison: Comparison, processes: int, console: Console, check: Callable[[Run], None], lock: Any
) -> list[Run]:
    """Brings every run to the budget, at most `processes` at a time. Returns those that failed.

    Args:
        check: raises ValueError where a run that ended well cannot be used.
        lock: an open file that the processes inherit, so that it stays locked until all have ended.
    """
    runs = comparison.runs()
    waiting = deque(run for run in runs if not is_done(run, comparison.budget))
    failed: list[Run] = []
    display = Display(console, len(runs), len(runs) - len(waiting), comparison.budget)
    running: dict[Run, subprocess.Popen] = {}
    try:
        with display.progress:
            while waiting or running:
                while waiting and len(running) < processes:
                    run = waiting.popleft()
                    running[run] = _start(comparison, run, lock)
                    display.started(run)
                for run, process in list(running.items()):
                    if process.poll() is None:
                        display.moved(run)
                        continue
                    del running[run]
                    problem = _problem(run, process.returncode, comparison.budget, check)
                    display.ended(run, problem)
                    failed += [run] if problem else []
                time.sleep(POLL_SECONDS)
    finally:  # interrupted: what runs goes on from its checkpoint next time
        for process in running.values():
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return failed


def _start(comparison: Comparison, run: Run, lock: Any) -> subprocess.Popen:
    run.log.parent.mkdir(parents=True, exist_ok=True)
    with run.log.open("w") as log:
        return subprocess.Popen(
            comparison.command(run),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **ONE_THREAD, **LIVE_LOG},
            start_new_session=True,
            pass_fds=(lock.fileno(),),
        )


def is_done(run: Run, budget: Budget) -> bool:
    """Whether the run's script ended well, at this budget or beyond."""
    return (run.folder / FINISHED).exists() and budget.is_spent(last_row(run.folder))


def last_row(folder: Path) -> dict[str, float]:
    """The last whole line of `metrics.jsonl`; empty before the first."""
    path = folder / "metrics.jsonl"
    if not path.exists():
        return {}
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - 16_384, 0))
        lines = file.read().split(b"\n")
    # What follows the last line break is empty, or half a line of a run that writes right now.
    return json.loads(lines[-2]) if len(lines) > 1 else {}


def _problem(run: Run, code: int, budget: Budget, check: Callable[[Run], None]) -> str | None:
    """What is wrong with a run that has ended, or None."""
    if code != 0:
        tail = run.log.read_text(errors="replace").splitlines()[-LOG_LINES:]
        return "\n".join([f"exit code {code}, the end of {run.log}:", *(f"    {line}" for line in tail)])
    if not is_done(run, budget):
        spent = budget.spent(last_row(run.folder))
        return (
            f"ended at {budget.axis}={spent:g} of {budget}: does the recipe hand `budget` "
            f"(CurriculumConfig) and `max_steps` to its trainer? Log: {run.log}"
        )
    try:
        check(run)
    except ValueError as error:
        return str(error)
    return None


class Display:
    """Bars in a terminal; and a line for each run that has ended, there and everywhere."""

    def __init__(self, console: Console, total: int, done: int, budget: Budget):
        self.console, self.total, self.done, self.budget = console, total, done, budget
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[state]}"),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self.tasks: dict[Run, TaskID] = {}
        self.began: dict[Run, float] = {}
        self.all = self.progress.add_task("all runs", total=total, completed=done, state=f"{done} of {total}")
        if done:
            self._print(f"{done} of {total} runs are there already")

    def started(self, run: Run) -> None:
        self.began[run] = time.perf_counter()
        self.tasks[run] = self.progress.add_task(run.name, total=self.budget.amount, state="starting")

    def moved(self, run: Run) -> None:
        if not self.console.is_terminal:
            return
        spent = self.budget.spent(last_row(run.folder))
        if spent:
            state = f"{spent:,.0f} of {self.budget.amount:,.0f} {self.budget.axis}"
            self.progress.update(self.tasks[run], completed=spent, state=state)

    def ended(self, run: Run, problem: str | None) -> None:
        self.done += 1
        self.progress.remove_task(self.tasks.pop(run))
        self.progress.update(self.all, completed=self.done, state=f"{self.done} of {self.total}")
        spent = f"{self.budget.spent(last_row(run.folder)):,.0f} {self.budget.axis}"
        seconds = time.perf_counter() - self.began[run]
        outcome = f"done, {spent}, {seconds:.0f} s" if problem is None else f"FAILED, {problem}"
        self._print(f"[{self.done}/{self.total}] {run.name}: {outcome}")

    def _print(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)
