"""The settings of what keeps a run safe, as fields of `CurriculumConfig`."""

from dataclasses import dataclass, field


@dataclass(kw_only=True)
class SafetyConfig:
    """What a run does about rewards that hang, batches that nobody can grade, and collapse."""

    reward_timeout: float | None = field(
        default=600.0,
        metadata={
            "help": "Seconds that a reward function may take for a batch; after them its completions count "
            "as unscorable. Keep it below ddp_timeout (1800): the other processes wait."
        },
    )
    max_ungraded_steps: int = field(
        default=10,
        metadata={
            "help": "Steps in a row without a single graded completion after which the run stops, with a "
            "checkpoint."
        },
    )
    guards: bool = field(
        default=True,
        metadata={"help": "Warn, with advice, of signs of collapse (docs/faults.md)."},
    )
    model_rewards: str | None = field(
        default=None,
        metadata={
            "help": "Reward functions that ask a model, such as checklist: names joined by commas; reward "
            "models are known. The guard rewards_apart warns when theirs rise while a rule's fall."
        },
    )
    apart_steps: int = field(
        default=20,
        metadata={"help": "Steps whose mean rewards rewards_apart holds against as many before (ours)."},
    )
    apart_errors: float = field(
        default=3.0,
        metadata={"help": "Standard errors by which one must have risen and the other fallen (ours)."},
    )
    fallback_steps: int = field(
        default=50,
        metadata={
            "help": "Steps after which a value model that is no better than the mean on prompts of the "
            "exploration share (explore_share) does not choose, until it is. 0: never."
        },
    )
    fresh_curriculum: bool = field(
        default=False,
        metadata={
            "help": "Go on from a checkpoint that rlkit did not write, such as plain TRL's, with a "
            "curriculum that begins anew."
        },
    )
    live: bool = field(
        default=False,
        metadata={
            "help": "Take commands while the run goes on, from its page and from scripts (docs/live.md)."
        },
    )
