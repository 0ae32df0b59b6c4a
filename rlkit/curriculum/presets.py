"""The presets: each a published combination of estimator, selector and filter under one name.

`numbers` are the fields of `CurriculumConfig` that the preset sets; each can be set otherwise. Where the
paper's value was not found, the comment beside it says that it is ours.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from rlkit.budget import parse_budget
from rlkit.config import CurriculumConfig
from rlkit.curriculum.curriculum import Curriculum
from rlkit.curriculum.estimators import Estimator
from rlkit.curriculum.estimators.neutral import Neutral
from rlkit.curriculum.estimators.oracle import Oracle
from rlkit.curriculum.filters import Filter, band, keep_all, zero_variance
from rlkit.curriculum.selectors import Selector, in_order, nearest

logger = logging.getLogger(__name__)

Truth = Callable[[np.ndarray], np.ndarray]
Parts = tuple[Estimator, Selector, Filter]


@dataclass(frozen=True)
class Preset:
    """A named curriculum: its rule in one line, its source, its numbers, and how its parts are made."""

    rule: str
    paper: str
    numbers: dict[str, Any]
    parts: Callable[[CurriculumConfig, Truth | None], Parts]


def _value_model(config: CurriculumConfig) -> Estimator:
    # torch loads here, and nowhere else in the curriculum.
    from rlkit.curriculum.estimators.value_model import ValueModel

    numbers: dict[str, Any] = {name.removeprefix("value_"): getattr(config, name) for name in VALUE_MODEL}
    return ValueModel(
        **numbers,
        signal_min=config.signal_min,
        signal_max=_on_signal(config, 1.0),
        seed=config.curriculum_seed or 0,
    )


def _on_signal(config: CurriculumConfig, share: float | None) -> float:
    """A share of the signal's range on the signal's own scale. 0.5 of [0, 2] -> 1.0"""
    assert share is not None, "the preset has a number"
    signal_max = 1.0 if config.signal_max is None else config.signal_max
    return config.signal_min + share * (signal_max - config.signal_min)


# DAPO's reference implementation stops after 10 generation batches, with an error; we top the batch up.
REFILL = {"max_rounds": 10, "fill": "top_up"}
ONE_ROUND = {"max_rounds": 1, "fill": "top_up"}
# The paper's head and its learning rate were not found: these are ours, from the addition task (LOG.md).
VALUE_MODEL = {
    "value_backbone": "policy",
    "value_hidden": 64,
    "value_learning_rate": 3e-3,
    "value_steps": 8,
    "value_buffer": 16,
}

PRESETS: dict[str, Preset] = {
    "uniform": Preset(
        rule="shuffled passes over the pool, every group is trained on",
        paper="plain GRPO (arXiv 2402.03300)",
        numbers={"candidates": 1, **ONE_ROUND},
        parts=lambda config, truth: (Neutral(), in_order, keep_all),
    ),
    "dapo": Preset(
        rule="drop groups with no variance, roll out more until the batch is full",
        paper="DAPO's dynamic sampling (arXiv 2503.14476)",
        numbers={"candidates": 1, **REFILL},
        parts=lambda config, truth: (Neutral(), in_order, zero_variance),
    ),
    "odf": Preset(
        rule="keep groups with a mean inside a band about one half, refill",
        paper="balanced online difficulty filtering (Bae et al., arXiv 2504.03380)",
        numbers={"candidates": 1, "band_low": 0.2, "band_high": 0.8, **REFILL},
        parts=lambda config, truth: (
            Neutral(),
            in_order,
            partial(band, low=_on_signal(config, config.band_low), high=_on_signal(config, config.band_high)),
        ),
    ),
    "pcl": Preset(
        rule="a value model learned online predicts each mean; take the m of k*m candidates nearest 0.5",
        paper="Prompt Curriculum Learning (Gao et al., arXiv 2510.01135)",
        numbers={"candidates": 4, "target": 0.5, **VALUE_MODEL, **ONE_ROUND},
        parts=lambda config, truth: (
            _value_model(config),
            partial(nearest, target=_on_signal(config, config.target)),
            keep_all,
        ),
    ),
    "oracle": Preset(
        rule="as pcl, but with the true success rates: the limit of what choosing can gain",
        paper="ours",
        numbers={"candidates": 4, "target": 0.5, **ONE_ROUND},
        parts=lambda config, truth: (
            Oracle(truth),
            partial(nearest, target=config.target),  # type: ignore[arg-type]  # a share already, as the truth
            keep_all,
        ),
    ),
}

PRESET_FIELDS = sorted({name for preset in PRESETS.values() for name in preset.numbers})


def resolve_config(curriculum: "str | CurriculumConfig") -> CurriculumConfig:
    """The settings of a preset with what was set by hand, checked.

    Raises:
        ValueError: the preset does not exist, or a number is impossible.
    """
    config = CurriculumConfig(curriculum=curriculum) if isinstance(curriculum, str) else curriculum
    if config.curriculum not in PRESETS:
        raise ValueError(f"curriculum={config.curriculum!r} is not a preset; there are: {', '.join(PRESETS)}")
    resolved = config.resolve(PRESETS[config.curriculum].numbers)
    resolved.validate()
    return resolved


def build_curriculum(curriculum: "str | CurriculumConfig", truth: Truth | None = None) -> Curriculum:
    """The curriculum of a preset.

    Args:
        curriculum: a preset's name, or settings that name one.
        truth: for `oracle`: from (N,) pool indices to (N,) success rates now, where the data has no
            `pass_rate` column.

    Example: `build_curriculum(CurriculumConfig(curriculum="pcl", candidates=8))`.
    """
    config = resolve_config(curriculum)
    unused = [name for name in PRESET_FIELDS if getattr(config, name) is not None]
    unused = [name for name in unused if name not in PRESETS[config.curriculum].numbers]
    if unused:
        logger.warning("curriculum=%r does not use %s; it is ignored", config.curriculum, ", ".join(unused))
    estimator, selector, filter = PRESETS[config.curriculum].parts(config, truth)
    return Curriculum(
        estimator,
        selector,
        filter,
        candidates=config.candidates,  # type: ignore[arg-type]
        max_rounds=config.max_rounds,  # type: ignore[arg-type]
        fill=config.fill,  # type: ignore[arg-type]
        seed=config.curriculum_seed or 0,
        name=config.curriculum,
        signal=config.curriculum_signal,
        budget=None if config.budget is None else parse_budget(config.budget),
    )
