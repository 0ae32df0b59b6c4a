"""Which rewards are a model's opinion, and which a rule's verdict.

A model's are reward models, and the functions named by `model_rewards`; all others are rules.
"""

from typing import Any

from torch import nn

from rlkit.hosts.trl.setup import reward_names
from rlkit.record.reward_watch import RewardWatch


def reward_watch(trainer: Any) -> RewardWatch | None:
    """Of the trainer's rewards; None where there are not both kinds."""
    safety, names = trainer.curriculum.safety, trainer.reward_func_names
    named = _names(safety.model_rewards)
    models = {
        name
        for function, name in zip(trainer.reward_funcs, names, strict=True)
        if isinstance(function, nn.Module) or name in named
    }
    of_model = [name for name in names if name in models]
    of_rule = [name for name in names if name not in models]
    if not of_model or not of_rule:
        return None
    return RewardWatch(of_model, of_rule, safety.apart_steps, safety.apart_errors)


def check_model_rewards(trainer: Any, functions: list[Any], has_environments: bool) -> None:
    """Raises ValueError where `model_rewards` names no reward, or leaves no rule to compare with."""
    given = trainer.curriculum.safety.model_rewards
    if given is None or has_environments:  # whose rewards join later
        return
    names = reward_names(functions)
    unknown = [name for name in _names(given) if name not in names]
    if unknown:
        raise ValueError(
            f"model_rewards ({given!r}) names {', '.join(map(repr, unknown))}, which is no reward function; "
            f"there are: {', '.join(names)}"
        )
    plain = {
        name
        for function, name in zip(functions, names, strict=True)
        if not isinstance(function, str | nn.Module)
    }
    if plain <= set(_names(given)):
        raise ValueError(
            f"model_rewards ({given!r}) leaves no rule's reward to compare with; name only those of a model"
        )


def _names(given: str | None) -> list[str]:
    return [name.strip() for name in (given or "").split(",") if name.strip()]
