"""The settings of the value model, as fields of `CurriculumConfig`: what it sees, and PCL's head."""

from dataclasses import dataclass, field


@dataclass(kw_only=True)
class ValueModelConfig:
    """What a value model sees of a prompt, and how PCL's head learns."""

    value_backbone: str | None = field(default=None, metadata={"help": "Gone: see value_features."})
    value_features: str | None = field(
        default=None,
        metadata={
            "help": "What the value model sees of a prompt, joined by commas: row (text, and answer and "
            "columns where the data has them), text, answer (the form of the gold, which the policy never "
            "sees), columns (the others), past, and of the policy last_state, states, likelihood; or "
            "policy, PCL's own head on its last state (docs/value_model.md)."
        },
    )
    value_layer: float | None = field(
        default=None,
        metadata={
            "help": "Layer of the policy that value_features=states looks at, as a share of its depth: above "
            "0, to 1 for the last (0.5: LOG.md)."
        },
    )
    feature_age: int | None = field(
        default=None,
        metadata={
            "help": "Steps that what the policy shows of a prompt (states, likelihood) serves before it is "
            "read again (1: at each step anew)."
        },
    )
    value_hidden: int | None = field(
        default=None,
        metadata={"help": "Hidden units of the value head, or of each projection of dots (both 64: ours)."},
    )
    value_learning_rate: float | None = field(default=None, metadata={"help": "Of the value head's AdamW."})
    value_steps: int | None = field(
        default=None, metadata={"help": "Gradient steps of the value head after each round of rollouts."}
    )
    value_buffer: int | None = field(
        default=None, metadata={"help": "Recent rounds of graded groups that the value head learns from."}
    )
