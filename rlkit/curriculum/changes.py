"""Numbers of a preset that change while a run goes on.

The curriculum is made anew from its changed settings and takes over the state of the one before, as a run
does that resumes with other numbers: so any preset's numbers can change, and none knows of it.
"""

import math
from dataclasses import replace
from typing import Any, get_args, get_type_hints

from rlkit.curriculum.curriculum import Curriculum
from rlkit.curriculum.presets import OF_ALL, PRESETS, build_curriculum
from rlkit.settings.config import CurriculumConfig

AT_THE_START = (
    "value_backbone",
    "value_features",
    "value_hidden",
    "value_learning_rate",
    "skip_base",
    "target_start",
)
"""What a preset begins with and has in its state since: what it has learned would not fit another."""


def changeable(config: CurriculumConfig) -> dict[str, Any]:
    """The preset's numbers that may change in a run, with their present values."""
    names = {*PRESETS[config.curriculum].numbers, *OF_ALL} - {*AT_THE_START}
    present = {"allocation": "equal", "explore_share": 0.0}
    return {
        name: present.get(name) if getattr(config, name) is None else getattr(config, name)
        for name in sorted(names)
    }


def check_changes(config: CurriculumConfig, numbers: dict[str, Any]) -> CurriculumConfig:
    """The settings with these numbers changed.

    Raises:
        ValueError: what is wrong with a number, in words: it is none that may change in a run, or one that
            the settings would refuse too.
    """
    known = changeable(config)
    for name in numbers:
        if name in AT_THE_START:
            raise ValueError(
                f"{name} is what a run begins with: what the curriculum has learned would not fit another "
                "value; start a new run"
            )
        if name not in known:
            raise ValueError(
                f"{name} is no number of curriculum={config.curriculum!r} that can change; there are: "
                + ", ".join(known)
            )
    if numbers.get("fill") == "error":
        raise ValueError("fill ('error') would end this run where a batch is not full; top_up or shrink")
    changed = replace(config, **{name: typed(name, value) for name, value in numbers.items()})
    changed.validate()
    return changed


def changed(curriculum: Curriculum, numbers: dict[str, Any]) -> Curriculum:
    """Another curriculum like a bound one, in its state, with these numbers of its preset changed.

    Raises:
        ValueError: as `check_changes`, or they do not go with the run's batches. The one given is as it was.
    """
    if curriculum.preset is None:
        raise ValueError(
            f"the curriculum {curriculum.name!r} was put together by hand: its numbers are its parts' own, "
            "and only a preset's can change in a run"
        )
    config, truth = curriculum.preset
    other = build_curriculum(check_changes(config, numbers), truth)
    other.bind(curriculum.pool, curriculum.senses, curriculum.num_groups, curriculum.group_size)
    other.load_state_dict({**curriculum.state_dict(), "numbers": other.numbers()})
    return other


def typed(name: str, value: Any) -> Any:
    """The value as its field in `CurriculumConfig`, a preset's number, has it: 4.0 -> 4 for a whole number.

    Raises:
        ValueError: it is of another kind.
    """
    kinds = set(get_args(get_type_hints(CurriculumConfig)[name]))
    if str in kinds:
        if not isinstance(value, str):
            raise ValueError(f"{name} ({value!r}) must be a word")
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{name} ({value!r}) must be a number")
    if float in kinds:
        return float(value)
    if value != int(value):
        raise ValueError(f"{name} ({value!r}) must be a whole number")
    return int(value)
