"""The curriculum's settings as a dataclass for TRL's `TrlParser`, checked before any model loads."""

from dataclasses import dataclass, field, fields, replace
from typing import Any

from rlkit.budget import parse_budget

FILLS = ("top_up", "shrink", "error")
BACKBONES = ("policy", "text")


@dataclass
class CurriculumConfig:
    """Which prompts to roll out, and which groups to train on. A number left out is the preset's own."""

    curriculum: str = field(
        default="uniform", metadata={"help": "A preset's name: uniform, dapo, odf, pcl, oracle."}
    )
    curriculum_signal: str | None = field(
        default=None,
        metadata={
            "help": "Name of the reward function that the curriculum looks at. Default: the weighted total."
        },
    )
    signal_min: float = field(default=0.0, metadata={"help": "The signal's least value."})
    signal_max: float | None = field(
        default=None,
        metadata={"help": "The signal's greatest value. Default: 1, or the sum of weights for the total."},
    )
    candidates: int | None = field(
        default=None, metadata={"help": "Candidates scored for each prompt rolled out (k)."}
    )
    target: float | None = field(
        default=None,
        metadata={"help": "Predicted mean signal to aim at, as a share (0 to 1) of the signal's range."},
    )
    band_low: float | None = field(
        default=None,
        metadata={"help": "Least mean signal of a kept group, as a share of the signal's range."},
    )
    band_high: float | None = field(
        default=None,
        metadata={"help": "Greatest mean signal of a kept group, as a share of the signal's range."},
    )
    max_rounds: int | None = field(
        default=None, metadata={"help": "Rounds of rollouts after which a step stops refilling its batch."}
    )
    fill: str | None = field(
        default=None,
        metadata={
            "help": "When the rounds are over and groups are missing: top_up with the best dropped ones, "
            "shrink the batch (its shape stays, the padding does not train), or error."
        },
    )
    value_backbone: str | None = field(
        default=None,
        metadata={
            "help": "What the value model sees: policy (its last hidden state) or text (hashed words)."
        },
    )
    value_hidden: int | None = field(default=None, metadata={"help": "Hidden units of the value head."})
    value_learning_rate: float | None = field(default=None, metadata={"help": "Of the value head's AdamW."})
    value_steps: int | None = field(
        default=None, metadata={"help": "Gradient steps of the value head after each round of rollouts."}
    )
    value_buffer: int | None = field(
        default=None, metadata={"help": "Recent rounds of graded groups that the value head learns from."}
    )
    curriculum_seed: int | None = field(
        default=None,
        metadata={"help": "Of the candidate stream and the selector. Default: the trainer's seed."},
    )
    budget: str | None = field(
        default=None,
        metadata={
            "help": "Ends the run when spent: steps=N, rollouts=N, tokens=N or seconds=N. Default: none."
        },
    )
    allow_changed_data: bool = field(
        default=False,
        metadata={
            "help": "Resume although the data set has changed: prompts known to both keep their statistics."
        },
    )

    def resolve(self, numbers: dict[str, Any]) -> "CurriculumConfig":
        """A copy in which the preset's `numbers` stand where nothing was set."""
        return replace(
            self, **{name: value for name, value in numbers.items() if getattr(self, name) is None}
        )

    def validate(self) -> None:
        """Raises ValueError that names the field, its value and the remedy."""
        for name in ("candidates", "max_rounds", "value_hidden", "value_steps", "value_buffer"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} ({value}) must be at least 1")
        for name in ("target", "band_low", "band_high"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise ValueError(
                    f"{name} ({value}) must lie in 0 to 1: it is a share of the range from signal_min to "
                    "signal_max"
                )
        if self.value_learning_rate is not None and self.value_learning_rate <= 0:
            raise ValueError(f"value_learning_rate ({self.value_learning_rate}) must be above 0")
        if self.fill is not None and self.fill not in FILLS:
            raise ValueError(f"fill ({self.fill!r}) must be one of {', '.join(FILLS)}")
        if self.value_backbone is not None and self.value_backbone not in BACKBONES:
            raise ValueError(
                f"value_backbone ({self.value_backbone!r}) must be one of {', '.join(BACKBONES)}"
            )
        if self.band_low is not None and self.band_high is not None and self.band_low > self.band_high:
            raise ValueError(
                f"band_low ({self.band_low}) must not be above band_high ({self.band_high}); swap them"
            )
        if self.budget is not None:
            parse_budget(self.budget)
        if self.signal_max is not None and self.signal_max <= self.signal_min:
            raise ValueError(
                f"signal_max ({self.signal_max}) must be above signal_min ({self.signal_min}); give the "
                "range that the reward function returns"
            )

    def numbers(self) -> dict[str, Any]:
        """What was set, without what was left to the preset."""
        return {
            item.name: getattr(self, item.name)
            for item in fields(self)
            if getattr(self, item.name) is not None
        }
