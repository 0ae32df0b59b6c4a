"""rlkit: which prompts are worth rolling out now? Prompt curricula around TRL's GRPOTrainer.

`import rlkit` is light: the trainer, and with it torch and TRL, load when they are first asked for.
"""

from typing import TYPE_CHECKING

from rlkit.curriculum import PRESETS, Curriculum, build_curriculum
from rlkit.settings.config import CurriculumConfig

if TYPE_CHECKING:
    from rlkit.hosts.trl.trainer import CurriculumGRPOTrainer

__all__ = ["PRESETS", "Curriculum", "CurriculumConfig", "CurriculumGRPOTrainer", "build_curriculum"]
__version__ = "0.1.0"


def __getattr__(name: str):
    if name == "CurriculumGRPOTrainer":
        from rlkit.hosts.trl.trainer import CurriculumGRPOTrainer

        return CurriculumGRPOTrainer
    raise AttributeError(f"module 'rlkit' has no attribute {name!r}")
