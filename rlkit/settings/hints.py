"""The settings of hints, as fields of `CurriculumConfig`: how much of a solution is revealed, and where."""

from dataclasses import dataclass, field


@dataclass(kw_only=True)
class HintsConfig:
    """How much of its solution a prompt shows (docs/hints.md)."""

    hints: str | None = field(
        default=None,
        metadata={
            "help": "How much of its solution is revealed to a chosen prompt: adaback, guided or predicted "
            "(docs/hints.md). Default: nothing."
        },
    )
    hint_column: str | None = field(
        default=None,
        metadata={
            "help": "Column of the written solutions: text, messages or lists of steps. "
            "Default: `solution`, else `demonstration`."
        },
    )
    hint_place: str | None = field(
        default=None,
        metadata={
            "help": "prefix: the completion goes on from the hint; prompt: it is a paragraph of the user's "
            "message. Default: prefix."
        },
    )
    hint_loss: bool | None = field(
        default=None, metadata={"help": "Train on revealed tokens too, as if they had been sampled."}
    )
    hint_tau: float | None = field(
        default=None,
        metadata={
            "help": "Least mean signal of a group, as a share of the signal's range, after which less is "
            "revealed (adaback: 0.5, ours)."
        },
    )
    hint_widening: float | None = field(
        default=None,
        metadata={
            "help": "Share of its way to 0 and 1 that each end of a prompt's interval goes back after a "
            "group (adaback: 0.1, ours)."
        },
    )
    hint_start: float | None = field(
        default=None, metadata={"help": "Share revealed at first (guided: 0.5, ours)."}
    )
    hint_period: int | None = field(
        default=None, metadata={"help": "Steps between changes of the share (guided: 3, its code)."}
    )
    hint_price: float | None = field(
        default=None,
        metadata={
            "help": "What a whole solution takes off a group's predicted variance, as a share of it "
            "(predicted: 1, ours)."
        },
    )
