"""What the curriculum's settings may be. Every check names the field, its value and the remedy."""

from collections.abc import Callable
from typing import Any

from rlkit.settings.budget import parse_budget
from rlkit.settings.keeping import KEPT

CHOICES = {
    "subset": ("hard", "medium", "easy", "random"),
    "fill": ("top_up", "shrink", "error"),
    "allocation": ("equal", "knapsack", "vip", "cures"),
    "keep_completions": KEPT,
    "hints": ("adaback", "guided", "predicted"),
    "hint_place": ("prefix", "prompt"),
}
FEATURES = ("text", "answer", "columns", "last_state", "states", "likelihood", "past")
"""What the value model may see of a prompt."""
ROW = "row"
"""Stands for what the row says: `text`, and `answer` and `columns` where the data has them."""
OF_ROW = ("text", "answer", "columns")
POLICY = "policy"
"""In the place of features: PCL's own head on the policy's last hidden state."""
BACKBONES = {"policy": "policy", "linear": "last_state", "text": "text"}
"""What `value_backbone` named, before there was one head."""
OF_THE_RANGE = ("target", "band_low", "band_high")
SHARES = (
    "variance_floor",
    "warmup_variance_floor",
    "mastered",
    "unsolved",
    "floor",
    "decay",
    "skip_base",
    "skip_step",
    "skip_target",
    "bank_momentum",
    "explore_share",
    "hint_tau",
    "hint_widening",
    "hint_start",
    "hint_price",
)
AT_LEAST_ONE = (
    "candidates",
    "max_rounds",
    "value_hidden",
    "value_steps",
    "value_buffer",
    "shelf_size",
    "max_age",
    "reference_steps",
    "judgement_length",
    "max_ungraded_steps",
    "feature_age",
    "mixture_steps",
)
ABOVE_ZERO = (
    "value_learning_rate",
    "value_layer",
    "subset_share",
    "prior",
    "category_temperature",
    "target_slope",
    "references",
    "selection_temperature",
    "reward_timeout",
    "apart_errors",
    "completions_mb",
)
NOT_NEGATIVE = (
    "warmup_filter_steps",
    "revision_pass",
    "target_step",
    "hard_weight",
    "easy_weight",
    "judgement_memory",
    "judgement_weight",
    "headroom",
    "repeat_gap",
    "group_cost",
    "fallback_steps",
)
AT_MOST = {
    "max_rounds": 100,
    "value_steps": 1000,
    "oversample": 100,
    "references": 100,
    "judgement_length": 4096,
}
"""What a step's time grows with: beyond these it would seem to hang."""


def check_limits(config: Any) -> None:
    """Each number by itself."""
    for name, most in AT_MOST.items():
        _check(config, name, lambda value, most=most: value <= most, f"must be at most {most}")
    for name in AT_LEAST_ONE:
        _check(config, name, lambda value: value >= 1, "must be at least 1")
    for name in OF_THE_RANGE:
        remedy = "must lie in 0 to 1: it is a share of the range from signal_min to signal_max"
        _check(config, name, lambda value: 0 <= value <= 1, remedy)
    for name in SHARES:
        _check(config, name, lambda value: 0 <= value <= 1, "must lie in 0 to 1")
    for name in ABOVE_ZERO:
        _check(config, name, lambda value: value > 0, "must be above 0")
    for name in NOT_NEGATIVE:
        _check(config, name, lambda value: value >= 0, "must be at least 0")
    _check(
        config, "oversample", lambda value: value >= 1, "must be at least 1: a round is at least one batch"
    )
    _check(config, "target_start", lambda value: 0 <= value <= 100, "must lie in 0 to 100, easy to hard")
    for name in ("subset_share", "value_layer"):
        _check(config, name, lambda value: value <= 1, "must be above 0 and at most 1")
    _check(
        config,
        "hint_period",
        lambda value: value >= 2,
        "must be at least 2: the last step is held against those before",
    )
    _check(
        config,
        "replay_share",
        lambda value: 0 <= value < 1,
        "must be at least 0 and below 1: something has to be rolled out",
    )
    _check(config, "apart_steps", lambda value: value >= 2, "must be at least 2: one step has no spread")
    _check(
        config,
        "likelihood_samples",
        lambda value: value >= 2,
        "must be at least 2 (num_generations): with 1 every prompt is worth the same",
    )
    _check(
        config,
        "screen",
        lambda value: value >= 2,
        "must be at least 2: one completion does not differ from itself",
    )


def check_choices(config: Any) -> None:
    """Each word, and the budget."""
    for name, choices in CHOICES.items():
        value = getattr(config, name)
        if value is not None and value not in choices:
            raise ValueError(f"{name} ({value!r}) must be one of {', '.join(choices)}")
    _check_features(config)
    if config.budget is not None:
        parse_budget(config.budget)


def _check_features(config: Any) -> None:
    if config.value_backbone is not None:
        remedy = BACKBONES.get(config.value_backbone, "text")
        raise ValueError(
            f"value_backbone ({config.value_backbone!r}) is gone: there is one head for all features; name "
            f"what it sees, value_features={remedy}"
        )
    names = (POLICY if config.value_features is None else config.value_features).split(",")
    unknown = set(names) - {*FEATURES, ROW}
    if unknown and names != [POLICY]:
        raise ValueError(
            f"value_features ({config.value_features!r}) names {', '.join(map(repr, sorted(unknown)))}; "
            f"there are: {ROW}, {', '.join(FEATURES)}, joined by commas without spaces, or {POLICY} alone"
        )


def check_together(config: Any) -> None:
    """What does not go with something else."""
    if config.curriculum == "adarft" and config.target in (0.0, 1.0):
        raise ValueError(
            f"target ({config.target}) must lie between 0 and 1 for curriculum='adarft': at an end of the "
            "range the mean signal can leave it on one side only"
        )
    if config.hint_loss and config.hint_place == "prompt":
        raise ValueError(
            "hint_loss (True) trains on the beginning of a completion, and hint_place ('prompt') reveals it "
            "in the user's message; choose hint_place=prefix, or leave hint_loss out"
        )
    low, high = config.band_low, config.band_high
    if low is not None and high is not None and low > high:
        raise ValueError(f"band_low ({low}) must not be above band_high ({high}); swap them")
    if config.signal_max is not None and config.signal_max <= config.signal_min:
        raise ValueError(
            f"signal_max ({config.signal_max}) must be above signal_min ({config.signal_min}); give the "
            "range that the reward function returns"
        )


def _check(config: Any, name: str, possible: Callable[[float], bool], remedy: str) -> None:
    value = getattr(config, name)
    if value is not None and not possible(value):
        raise ValueError(f"{name} ({value}) {remedy}")
