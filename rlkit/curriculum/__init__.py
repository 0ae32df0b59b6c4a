"""Estimators predict, selectors choose, filters keep or drop; a curriculum is one of each."""

from rlkit.curriculum.curriculum import Curriculum
from rlkit.curriculum.presets import PRESETS, build_curriculum

__all__ = ["PRESETS", "Curriculum", "build_curriculum"]
