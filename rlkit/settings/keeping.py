"""The settings of what a run writes down of the policy's texts, as fields of `CurriculumConfig`."""

from dataclasses import dataclass, field

KEPT = ("none", "extremes", "all")


@dataclass(kw_only=True)
class KeepingConfig:
    """Which completions go into `ledger/completions/`, for `rlkit report` to show."""

    keep_completions: str = field(
        default="extremes",
        metadata={
            "help": "Texts that go into ledger/completions/: none, extremes (the best and the worst of a few "
            "groups a step) or all."
        },
    )
    completions_mb: float = field(
        default=200.0,
        metadata={
            "help": "Megabytes that the texts may take, before compression, spread over the run's steps."
        },
    )
    value_gold_column: str | None = field(
        default=None,
        metadata={
            "help": "Column of the gold answers: for value_features (answer), and shown beside completions."
        },
    )
