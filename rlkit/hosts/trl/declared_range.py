"""The range of the curriculum's signal where none was set: what a row can get, as far as that is known."""

from dataclasses import replace
from typing import Any

from rlkit.curriculum.presets import PRESETS
from rlkit.settings.config import CurriculumConfig


def with_range(config: CurriculumConfig, rewards: list[str], weights: Any) -> CurriculumConfig:
    """The settings with `signal_min` and `signal_max`.

    Each reward is taken to give 0 to 1, times its weight. Of several rewards in a total it is not known which
    of them a row can get: a preset that counts in shares of the range then needs it declared; for the others
    the sum of all is the bound.

    Args:
        rewards: their names.
        weights: of the rewards, or None.

    Raises:
        ValueError: the preset depends on the range, and it is not known.
    """
    if config.signal_max is not None:
        return config
    counted = [weight for weight in (weights or [1.0] * max(len(rewards), 1)) if weight]
    if config.curriculum_signal is not None:
        counted = [1.0]
    low, high = (sum(bound(weight, 0.0) for weight in counted) for bound in (min, max))
    if len(counted) > 1 and PRESETS[config.curriculum].ranged:
        raise ValueError(
            f"curriculum={config.curriculum!r} counts in shares of the signal's range, and that of a total "
            f"of {len(counted)} weighted rewards ({', '.join(rewards)}) is not known: "
            "set curriculum_signal to the name of one of them, or signal_min and signal_max to the least and "
            f"the greatest total that a row can get ({low:g} and {high:g} where it can get all of each; 0 "
            "and 1 where each row is graded by one of them, with weight 1)"
        )
    low = config.signal_min or low
    resolved = replace(config, signal_min=low, signal_max=high if counted else low + 1.0)
    resolved.validate()
    return resolved


def own_rewards(environment_factory: Any) -> list[str]:
    """Environments that grade themselves, as far as that shows before one is made: classes with a
    `get_reward`."""
    many = environment_factory.values() if isinstance(environment_factory, dict) else [environment_factory]
    return sorted({made.__name__ for made in many if isinstance(made, type) and hasattr(made, "get_reward")})
