"""What a preset is, and what the tables of presets share."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np

from rlkit.curriculum.allocation import ALLOCATIONS, Allocation
from rlkit.curriculum.estimators import Estimator
from rlkit.curriculum.filters import Filter, keep_all
from rlkit.curriculum.scale import Scale
from rlkit.curriculum.selectors import Selector, in_order
from rlkit.curriculum.sources.exploration import Exploration
from rlkit.curriculum.sources.replay import Ahead, Replay
from rlkit.curriculum.sources.rounds import Rounds
from rlkit.curriculum.sources.source import Source
from rlkit.prompts.pool import Admission
from rlkit.settings.config import CurriculumConfig

Truth = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Parts:
    """What a curriculum is made of: what predicts, and where a step's groups come from, in order."""

    estimator: Estimator
    sources: tuple[Source, ...]


@dataclass(frozen=True)
class Preset:
    """A named curriculum: its rule in one line, its source, its numbers, and how its parts are made.

    `ranged`: the rule counts in shares of the signal's range, so that a signal outside of it is an error.
    """

    rule: str
    paper: str
    ranged: bool
    numbers: dict[str, Any]
    parts: Callable[[CurriculumConfig, Truth | None], Parts]


class Admitting(Estimator, Protocol):
    """An estimator that says which prompts may become candidates."""

    def admission(self, index_N: np.ndarray) -> np.ndarray: ...


def of_rounds(
    config: CurriculumConfig,
    estimator: Estimator,
    selector: Selector = in_order,
    filter: Filter = keep_all,
    **rounds: Any,
) -> Parts:
    """Rounds of fresh prompts alone."""
    return Parts(estimator, (Rounds(selector, filter, **numbers_of_rounds(config), **rounds),))


def admitting(
    config: CurriculumConfig, estimator: Admitting, filter: Filter = keep_all, **rounds: Any
) -> Parts:
    """Rounds of the stream's prompts as far as the estimator admits them."""
    return of_rounds(config, estimator, in_order, filter, admission=estimator.admission, **rounds)


def numbers_of_rounds(config: CurriculumConfig, explore_admission: Admission | None = None) -> dict[str, Any]:
    """The settings that any preset's rounds have.

    Args:
        explore_admission: of the explored prompts too; None admits all.
    """
    return {
        **picked(config, "candidates", "max_rounds"),
        "allocation": make_allocation(config),
        "exploration": Exploration(config.explore_share or 0.0, explore_admission),
    }


def picked(config: CurriculumConfig, *names: str, **renamed: str) -> dict[str, Any]:
    """Settings as keyword arguments: by their own name, or argument=field."""
    return {
        argument: getattr(config, name)
        for argument, name in (*zip(names, names, strict=True), *renamed.items())
    }


def replaying(config: CurriculumConfig, rounds: Rounds) -> tuple[Source, ...]:
    """Rounds, and replay where the filter leaves places free; for a share of the batch before them, too."""
    replay = Replay(**picked(config, "max_age", capacity="shelf_size", share="replay_share"))
    return (Ahead(replay), rounds, replay) if replay.share else (rounds, replay)


def scale_of(config: CurriculumConfig) -> Scale:
    """The signal's range."""
    return Scale(config.signal_min, 1.0 if config.signal_max is None else config.signal_max)


def make_allocation(config: CurriculumConfig) -> Allocation | None:
    """How a round's completions are shared out; None for all alike."""
    if config.allocation in (None, "equal"):
        return None
    return partial(ALLOCATIONS[config.allocation], scale=scale_of(config))


# DAPO's reference implementation stops after 10 generation batches, with an error; we top the batch up.
REFILL = {"candidates": 1, "max_rounds": 10, "fill": "top_up"}
ONE_ROUND = {"candidates": 1, "max_rounds": 1, "fill": "top_up"}
# What brings a category back that earned nothing for a while, where the published rule gives it up: ours.
EXPLORING = {"explore_share": 0.05}
