"""rlkit: which prompts are worth rolling out now? Prompt curricula around TRL's GRPOTrainer.

`import rlkit` costs next to nothing: each name below loads its file when it is first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rlkit.curriculum.curriculum import Curriculum
    from rlkit.curriculum.presets import PRESETS, build_curriculum
    from rlkit.hosts.async_trl.trainer import AsyncCurriculumGRPOTrainer
    from rlkit.hosts.trl.trainer import CurriculumGRPOTrainer
    from rlkit.settings.config import CurriculumConfig

__all__ = [
    "PRESETS",
    "AsyncCurriculumGRPOTrainer",
    "Curriculum",
    "CurriculumConfig",
    "CurriculumGRPOTrainer",
    "build_curriculum",
]
__version__ = "0.1.0"

HOMES = {
    "PRESETS": "rlkit.curriculum.presets",
    "AsyncCurriculumGRPOTrainer": "rlkit.hosts.async_trl.trainer",
    "Curriculum": "rlkit.curriculum.curriculum",
    "CurriculumConfig": "rlkit.settings.config",
    "CurriculumGRPOTrainer": "rlkit.hosts.trl.trainer",
    "build_curriculum": "rlkit.curriculum.presets",
}


def __getattr__(name: str):
    if name in HOMES:
        return getattr(import_module(HOMES[name]), name)
    raise AttributeError(f"module 'rlkit' has no attribute {name!r}")
