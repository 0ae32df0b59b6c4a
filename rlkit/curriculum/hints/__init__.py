"""Hints by name: how much of a prompt's solution is revealed, beside any preset that chooses prompts."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rlkit.curriculum.hints.adaback import AdaBack
from rlkit.curriculum.hints.guided import Guided
from rlkit.curriculum.hints.hints import Hints
from rlkit.curriculum.hints.predicted import Predicted
from rlkit.curriculum.hints.rule import Rule
from rlkit.curriculum.scale import Scale
from rlkit.settings.config import CurriculumConfig

__all__ = ["RULES", "Hints", "hint_numbers", "make_hints", "unused_fields", "used_fields"]


@dataclass(frozen=True)
class Entry:
    """A rule in one line, its source, its numbers (fields of `CurriculumConfig`), and how it is made."""

    rule: str
    paper: str
    numbers: dict[str, Any]
    make: Callable[[CurriculumConfig, Scale], Rule]


RULES: dict[str, Entry] = {
    "adaback": Entry(
        rule="a stochastic binary search for each prompt's share",
        paper="AdaBack (arXiv 2506.18110)",
        numbers={"hint_tau": 0.5, "hint_widening": 0.1},  # ours
        make=lambda config, scale: AdaBack(tau=config.hint_tau, widening=config.hint_widening, scale=scale),  # type: ignore[arg-type]
    ),
    "guided": Entry(
        rule="one share for all, which falls when the mean signal rises",
        paper="G2RPO-A (arXiv 2508.13023)",
        numbers={"hint_start": 0.5, "hint_period": 3},  # ours; its code
        make=lambda config, scale: Guided(start=config.hint_start, period=config.hint_period, scale=scale),  # type: ignore[arg-type]
    ),
    "predicted": Entry(
        rule="the share at which the predicted variance, less a price on help, is greatest",
        paper="ours",
        numbers={"hint_price": 1.0},  # ours
        make=lambda config, scale: Predicted(price=config.hint_price),  # type: ignore[arg-type]
    ),
}
OF_ALL = {"hint_place": "prefix", "hint_loss": False}
FIELDS = ("hint_column", *OF_ALL, *(name for entry in RULES.values() for name in entry.numbers))


def hint_numbers(config: CurriculumConfig) -> dict[str, Any]:
    """The numbers of the rule that the settings name, none where they name none."""
    return {} if config.hints is None else {**OF_ALL, **RULES[config.hints].numbers}


def used_fields(config: CurriculumConfig) -> list[str]:
    """The fields of `CurriculumConfig` that the rule follows, told apart on resume."""
    return [] if config.hints is None else ["hints", "hint_column", *hint_numbers(config)]


def unused_fields(config: CurriculumConfig) -> list[str]:
    """The fields that were set and have no effect."""
    return [name for name in FIELDS if getattr(config, name) and name not in used_fields(config)]


def make_hints(config: CurriculumConfig, scale: Scale) -> Hints | None:
    """The hints of resolved settings; None where they name no rule."""
    if config.hints is None:
        return None
    return Hints(
        RULES[config.hints].make(config, scale),
        scale=scale,
        column=config.hint_column,
        place=config.hint_place,  # type: ignore[arg-type]
        loss=bool(config.hint_loss),
    )
