"""Whether the parts of a curriculum go together, and with the groups of a run."""

from typing import Any


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
