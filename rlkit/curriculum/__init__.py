"""Estimators predict, selectors choose, filters keep or drop; a curriculum is one of each."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rlkit.curriculum.curriculum import Curriculum
    from rlkit.curriculum.presets import PRESETS, build_curriculum

__all__ = ["PRESETS", "Curriculum", "build_curriculum"]


def __getattr__(name: str):
    """The names above: their files load when they are first asked for."""
    if name in __all__:
        return getattr(import_module("rlkit"), name)
    raise AttributeError(f"module 'rlkit.curriculum' has no attribute {name!r}")
