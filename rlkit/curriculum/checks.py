"""Whether the parts of a curriculum go together, and with the pool and the groups of a run."""

import logging
from typing import Any

from rlkit.prompts.pool import PromptPool

logger = logging.getLogger(__name__)


def check_parts(curriculum: Any, group_size: int) -> None:
    """Raises ValueError where a group is too small to be screened, or an allocation meets refills."""
    if curriculum.screen is not None and curriculum.screen >= group_size:
        raise ValueError(
            f"screen ({curriculum.screen}) must be below num_generations ({group_size}): the first "
            "completions of a group decide whether the others are made; lower screen or raise num_generations"
        )
    one_round = curriculum.max_rounds == 1 and curriculum.oversample == 1 and curriculum.shelf is None
    if curriculum.allocation is not None and not one_round:
        raise ValueError(
            f"allocation shares out one round of exactly a batch, and curriculum={curriculum.name!r} may "
            f"refill it (max_rounds={curriculum.max_rounds}, oversample={curriculum.oversample}) or keeps "
            "groups for later steps; set both to 1 where it keeps none, or allocation=equal"
        )


def check_pool(curriculum: Any, pool: PromptPool, num_groups: int) -> None:
    """Raises ValueError where the curriculum has a pool already, or the new one is smaller than a batch."""
    if curriculum.bound:
        raise ValueError(
            f"this Curriculum (curriculum={curriculum.name!r}) was bound to a pool before, and holds what it "
            "learned there; make another for each trainer or simulation: build_curriculum(...), or pass the "
            "preset's name or a CurriculumConfig, of which each trainer makes its own"
        )
    if len(pool) < num_groups:
        raise ValueError(
            f"the pool has {len(pool)} prompts, fewer than the {num_groups} of one batch "
            "(generation_batch_size / num_generations); add prompts or make the batch smaller"
        )


def clamped_candidates(candidates: int, num_groups: int, num_prompts: int) -> int:
    """As many candidates a place as the pool has prompts for."""
    if candidates * num_groups <= num_prompts:
        return candidates
    clamped = num_prompts // num_groups
    logger.warning(
        "candidates (%d) times the %d prompts of a batch is more than the pool's %d prompts; candidates is "
        "clamped to %d",
        candidates,
        num_groups,
        num_prompts,
        clamped,
    )
    return clamped


def check_admission(name: str, num_admissible: int, num_prompts: int, num_groups: int) -> None:
    """Raises ValueError where a preset admits less than a batch."""
    if num_admissible < num_groups:
        raise ValueError(
            f"curriculum={name!r} admits {num_admissible} of the pool's {num_prompts} prompts, fewer than "
            f"the {num_groups} of one batch (generation_batch_size / num_generations); add prompts, widen "
            "what it admits, or make the batch smaller"
        )
