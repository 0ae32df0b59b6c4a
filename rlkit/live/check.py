"""Whether a run can do what a command says: the same check before it is sent and when the run takes it."""

import math
from pathlib import Path
from typing import Any

from rlkit.curriculum.changes import check_changes
from rlkit.live.command import Command
from rlkit.live.files import read_status
from rlkit.record.manifest import checkpoints, is_committed, step_of
from rlkit.settings.config import CurriculumConfig

WEIGHT = "reward_weight."
"""Before a reward function's name: its weight, a setting."""
BOUNDS = {"learning_rate": (1e-12, 1.0), "temperature": (0.01, 100.0)}
"""Least and greatest values of the trainer's own settings: beyond them numbers overflow."""
GREATEST_WEIGHT = 1e6


def check_command(folder: Path, command: Command) -> None:
    """Whether it makes sense to ask the run for this.

    Raises:
        ValueError: the run takes no commands, or it would refuse this one: why, in words.
    """
    status = read_status(folder)
    if status is None:
        raise ValueError(f"the run in {folder} takes no commands: start it with --live true")
    if not status["alive"]:
        raise ValueError("the run is over: go on with it (--resume auto), then ask again")
    if command.name == "set":
        check_settings(command.value, status)
    elif command.name == "load" and command.value not in saved_steps(folder):
        known = ", ".join(map(str, saved_steps(folder))) or "none yet"
        raise ValueError(f"load ({command.value}): there is no such checkpoint; there are: {known}")
    elif command.name == "evaluate" and not status["can_evaluate"]:
        raise ValueError("the run has nothing to evaluate on (eval_dataset, or benchmarks)")


def saved_steps(folder: Path) -> list[int]:
    """The steps of the run's checkpoints that can be loaded."""
    return [step_of(path) for path in checkpoints(folder) if is_committed(path)]


def check_settings(new: dict[str, Any], status: dict[str, Any]) -> None:
    """Whether the run's settings can be changed to `new`, all of them.

    Args:
        status: what the run says of itself (`files.py`): `settings` and their present values, the `config`
            of its curriculum (None where that was put together by hand), and `range_of_total`.

    Raises:
        ValueError: what is wrong, in words, with the remedy.
    """
    for name, value in new.items():
        if name in BOUNDS:
            _check_number(name, value, *BOUNDS[name])
        elif name.startswith(WEIGHT):
            _check_weight(name, value, status)
    numbers = curriculum_numbers(new)
    if not numbers:
        return
    if status["config"] is None:
        raise ValueError(
            f"{', '.join(numbers)}: this run's curriculum was put together by hand, so that only "
            f"{', '.join(status['settings'])} can change"
        )
    check_changes(CurriculumConfig(**status["config"]), numbers)


def curriculum_numbers(new: dict[str, Any]) -> dict[str, Any]:
    """Those that are the curriculum's."""
    return {name: value for name, value in new.items() if name not in BOUNDS and not name.startswith(WEIGHT)}


def _check_weight(name: str, value: Any, status: dict[str, Any]) -> None:
    known = [other for other in status["settings"] if other.startswith(WEIGHT)]
    if name not in known:
        raise ValueError(f"{name} names no reward function; there are: {', '.join(known)}")
    _check_number(name, value, -GREATEST_WEIGHT, GREATEST_WEIGHT)
    if status["range_of_total"]:
        raise ValueError(
            f"{name}: this curriculum counts in shares of the range of the weighted total, which the weights "
            "decide; a run with curriculum_signal, the name of one reward, lets them change"
        )


def _check_number(name: str, value: Any, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{name} ({value!r}) must be a number")
    if not low <= value <= high:
        raise ValueError(f"{name} ({value}) must lie in {low:g} to {high:g}")
