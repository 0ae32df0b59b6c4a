"""The presets: each a published combination of estimator, selector and filter under one name.

`numbers` are the fields of `CurriculumConfig` that the preset sets; each can be set otherwise. Where the
paper's value was not found, the comment beside it says that it is ours. docs/presets.md is their table.
"""

import logging

from rlkit.curriculum.curriculum import Curriculum
from rlkit.curriculum.hints import hint_numbers, make_hints, unused_fields, used_fields
from rlkit.curriculum.presets.filtering import FILTERING
from rlkit.curriculum.presets.history import HISTORY
from rlkit.curriculum.presets.predicting import POLICY_HEAD, PREDICTING
from rlkit.curriculum.presets.preset import Parts, Preset, Truth, scale_of
from rlkit.curriculum.presets.static import STATIC
from rlkit.curriculum.signal_range import SignalRange
from rlkit.settings.budget import parse_budget
from rlkit.settings.config import CurriculumConfig
from rlkit.settings.limits import POLICY

__all__ = ["PRESETS", "Parts", "Preset", "Truth", "build_curriculum", "resolve_config"]

logger = logging.getLogger(__name__)

PRESETS: dict[str, Preset] = {**FILTERING, **STATIC, **HISTORY, **PREDICTING}

OF_ALL = ("allocation", "explore_share")
"""Fields that any preset takes."""
PRESET_FIELDS = sorted({name for preset in PRESETS.values() for name in preset.numbers} - {*OF_ALL})


def resolve_config(curriculum: "str | CurriculumConfig") -> CurriculumConfig:
    """The settings of a preset with what was set by hand, checked.

    Raises:
        ValueError: the preset does not exist, or a number is impossible.
    """
    config = CurriculumConfig(curriculum=curriculum) if isinstance(curriculum, str) else curriculum
    if config.curriculum not in PRESETS:
        raise ValueError(f"curriculum={config.curriculum!r} is not a preset; there are: {', '.join(PRESETS)}")
    config.validate()
    resolved = config.resolve({**PRESETS[config.curriculum].numbers, **hint_numbers(config)})
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
    preset = PRESETS[config.curriculum]
    unused = [name for name in PRESET_FIELDS if getattr(config, name) is not None]
    unused = [name for name in unused if name not in preset.numbers]
    idle_hints = unused_fields(config)
    if idle_hints:
        logger.warning("hints=%r does not use %s; it is ignored", config.hints, ", ".join(idle_hints))
    if unused:
        logger.warning("curriculum=%r does not use %s; it is ignored", config.curriculum, ", ".join(unused))
    if "value_features" in preset.numbers and config.value_features != POLICY:
        idle = [name for name in POLICY_HEAD if getattr(config, name) != preset.numbers[name]]
        if idle:
            logger.warning(
                "value_features=%r does not use %s; it is ignored", config.value_features, ", ".join(idle)
            )
    parts = preset.parts(config, truth)
    return Curriculum(
        parts.estimator,
        parts.sources,
        fill=config.fill,  # type: ignore[arg-type]
        numbers={name: getattr(config, name) for name in {*OF_ALL, *preset.numbers, *used_fields(config)}},
        seed=config.curriculum_seed or 0,
        name=config.curriculum,
        signal=config.curriculum_signal,
        budget=None if config.budget is None else parse_budget(config.budget),
        safety=config,
        keeping=config,
        signal_range=SignalRange(
            scale_of(config), preset.ranged, config.curriculum, config.curriculum_signal
        ),
        preset=(config, truth),
        hints=make_hints(config, scale_of(config)),
    )
