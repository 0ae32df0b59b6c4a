"""The settings of groups that are kept for later steps, as fields of `CurriculumConfig`."""

from dataclasses import dataclass, field


@dataclass(kw_only=True)
class ShelfConfig:
    """Which groups wait for the rest of their completions, or train again."""

    screen: int | None = field(
        default=None,
        metadata={
            "help": "Completions that a prompt gets at first; the rest of its group only where these differ "
            "(speed: 4, its code)."
        },
    )
    shelf_size: int | None = field(
        default=None,
        metadata={"help": "Groups kept for later steps (ssb, speed: 512, ours)."},
    )
    max_age: int | None = field(
        default=None,
        metadata={"help": "Generations after which a kept group is not used any more (ssb, speed: 4, ours)."},
    )
    replay_share: float | None = field(
        default=None,
        metadata={
            "help": "Share of each batch that trains again on kept groups, before anything is rolled out "
            "(ssb, rlkit_replay: 0; the released code of DOTS: 0.5)."
        },
    )
