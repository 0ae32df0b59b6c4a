"""The curriculum's settings as a dataclass for TRL's `TrlParser`, checked before any model loads."""

from dataclasses import dataclass, field, fields, replace
from typing import Any

from rlkit.settings.hints import HintsConfig
from rlkit.settings.keeping import KeepingConfig
from rlkit.settings.limits import CHOICES, check_choices, check_limits, check_together
from rlkit.settings.safety import SafetyConfig
from rlkit.settings.shelf import ShelfConfig
from rlkit.settings.value_model import ValueModelConfig


@dataclass
class CurriculumConfig(ValueModelConfig, ShelfConfig, HintsConfig, SafetyConfig, KeepingConfig):
    """Which prompts to roll out, and which groups to train on. A number left out is the preset's own."""

    curriculum: str = field(
        default="uniform", metadata={"help": "A preset's name; `rlkit presets` lists them."}
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
        metadata={
            "help": "The signal's greatest value. Default: 1, or the weight of a single reward; for a total "
            "of several, presets that count in shares of the range need it."
        },
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
        metadata={
            "help": "Least mean signal of a kept group (odf), and where hard prompts end (pools), as a share "
            "of the signal's range; perplexity_band: the quantile of perplexity below which prompts are "
            "passed over (0.1: ours)."
        },
    )
    band_high: float | None = field(
        default=None,
        metadata={
            "help": "Greatest mean signal of a kept group (odf) or a normal prompt (pools), as a share of "
            "the signal's range; perplexity_band: the quantile above which prompts are passed over (0.9: "
            "ours)."
        },
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
    oversample: float | None = field(
        default=None,
        metadata={
            "help": "Prompts that a round rolls out at most, in batches: lilo 4 (its paper), greso 1.5 (its "
            "code)."
        },
    )
    variance_floor: float | None = field(
        default=None,
        metadata={
            "help": "Least variance of a kept group, as a share of the greatest possible (VCRL's kappa, 0.8)."
        },
    )
    warmup_variance_floor: float | None = field(
        default=None, metadata={"help": "The same in the first warmup_filter_steps steps (VCRL: 0.3)."}
    )
    warmup_filter_steps: int | None = field(
        default=None, metadata={"help": "Steps that warmup_variance_floor holds for (VCRL: 20)."}
    )
    subset: str | None = field(
        default=None,
        metadata={
            "help": "Which prompts by their pass_rate hard_examples trains on: "
            + ", ".join(CHOICES["subset"])
        },
    )
    subset_share: float | None = field(
        default=None, metadata={"help": "Share of the pool in the subset (hard_examples: 0.1, its paper)."}
    )
    mastered: float | None = field(
        default=None,
        metadata={
            "help": "Least mean signal of a mastered prompt, as a share of the signal's range (greso 0.98, "
            "retire 0.9, progressive_dropout 0.3: their sources)."
        },
    )
    unsolved: float | None = field(
        default=None,
        metadata={
            "help": "Greatest mean signal of a failed group, as a share of the signal's range (greso 0.11, "
            "stat_sel 0.85: their sources)."
        },
    )
    floor: float | None = field(
        default=None,
        metadata={
            "help": "Least probability that a skipped or retired prompt is tried when its turn comes (greso "
            "0.01, its code; retire 0.05 and pools 0.01, ours)."
        },
    )
    revision_pass: int | None = field(
        default=None,
        metadata={
            "help": "Pass over the pool, from 0, from which on retired prompts are back "
            "(progressive_dropout: 29, the last of its code's 30 epochs)."
        },
    )
    decay: float | None = field(
        default=None,
        metadata={
            "help": "Weight of what was observed before at each new observation: 1 counts all alike, 0 only "
            "the latest (mopps 1, its code; sec 0.5, from memory; stat_sel 0.99, ours); rlkit: at each step "
            "(0.8, ours)."
        },
    )
    prior: float | None = field(
        default=None,
        metadata={
            "help": "Successes, and failures, that a prompt starts with: a and b of its Beta (mopps: 1)."
        },
    )
    likelihood_samples: int | None = field(
        default=None,
        metadata={"help": "n of maxrl's 2 ((1 - (1 - p)^n) - p), best num_generations (8: ours)."},
    )
    skip_base: float | None = field(
        default=None, metadata={"help": "GRESO's p at the start, for easy and hard prompts (its code: 0.5)."}
    )
    skip_step: float | None = field(
        default=None, metadata={"help": "Change of GRESO's p after a training step (its code: 0.01)."}
    )
    skip_target: float | None = field(
        default=None,
        metadata={"help": "Share of groups without variance that GRESO lets through (its code: 0.25)."},
    )
    target_start: float | None = field(
        default=None, metadata={"help": "AdaRFT's target difficulty at the start, 0 to 100 (its code: 0)."}
    )
    target_step: float | None = field(
        default=None,
        metadata={"help": "Greatest change of AdaRFT's target in a step, of 100 (its code: 50)."},
    )
    target_slope: float | None = field(
        default=None,
        metadata={"help": "How steeply AdaRFT's target answers to the mean signal (its code: 2)."},
    )
    category_temperature: float | None = field(
        default=None,
        metadata={"help": "Of SEC's softmax over categories, whose scores lie in 0 to 1 (0.2: ours)."},
    )
    mixture_steps: int | None = field(
        default=None,
        metadata={"help": "Steps in which rmt goes from easy to hard: the run's max_steps (1000: ours)."},
    )
    hard_weight: float | None = field(
        default=None,
        metadata={"help": "Weight of a hard prompt beside a normal one's 1 (pools: 0.2, prime-rl)."},
    )
    easy_weight: float | None = field(
        default=None,
        metadata={"help": "Weight of an easy prompt beside a normal one's 1 (pools: 0.2, prime-rl)."},
    )
    bank_momentum: float | None = field(
        default=None,
        metadata={"help": "Weight of the past in a prompt's running variance (VCRL: 0.9, from memory)."},
    )
    allocation: str | None = field(
        default=None,
        metadata={
            "help": "How a batch's completions are shared out between its prompts: equal (num_generations "
            "each), knapsack, vip or cures (docs/presets.md). Any preset of one round takes it."
        },
    )
    references: float | None = field(
        default=None,
        metadata={
            "help": "Random prompts rolled out only to predict others from, in batches (dots 0.5, its code: "
            "256 for 512)."
        },
    )
    reference_steps: int | None = field(
        default=None, metadata={"help": "Steps that a set of references serves (dots: 2, its code)."}
    )
    selection_temperature: float | None = field(
        default=None,
        metadata={
            "help": "Of the softmax over the distances from the target, which are shares of the signal's "
            "range (dots: 0.001, its code)."
        },
    )
    headroom: float | None = field(
        default=None,
        metadata={
            "help": "Power of 1 - mean beside the variance in what a prompt is worth to rlkit: 0 aims at a "
            "mean of 1/2, 1 at 1/3, 2 at 1/4 (1: ours)."
        },
    )
    explore_share: float | None = field(
        default=None,
        metadata={
            "help": "Share of each round's prompts that are taken in the stream's order, past the preset's "
            "rule; 0 is the rule alone (rlkit 0.25, mopps 0.1, pcl and vcrl 0.05: ours)."
        },
    )
    repeat_gap: int | None = field(
        default=None,
        metadata={"help": "Steps that a prompt waits before rlkit may take it again (0: ours)."},
    )
    group_cost: float | None = field(
        default=None,
        metadata={"help": "Cost of a completion beside its tokens, in mean lengths (rlkit 1: ours)."},
    )
    judgement_memory: int | None = field(
        default=None,
        metadata={"help": "Recent (prompt, variance) pairs that the judge is shown (metis 3, second hand)."},
    )
    judgement_weight: float | None = field(
        default=None, metadata={"help": "Of the judgements' loss, lambda (metis 0.01, second hand)."}
    )
    judgement_length: int | None = field(
        default=None, metadata={"help": "Tokens that a judgement has at most (metis 256, ours)."}
    )
    recipe: str | None = field(
        default=None,
        metadata={"help": "Which script a YAML file is for, or `simulated`: `rlkit compare` reads it there."},
    )
    curriculum_seed: int | None = field(
        default=None,
        metadata={
            "help": "Of the candidate stream and the selector. Default: the trainer's data_seed, or its seed."
        },
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
        check_limits(self)
        check_choices(self)
        check_together(self)

    def numbers(self) -> dict[str, Any]:
        """What was set, without what was left to the preset."""
        return {
            item.name: getattr(self, item.name)
            for item in fields(self)
            if getattr(self, item.name) is not None
        }
