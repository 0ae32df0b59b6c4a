"""What a reward function is called, and what it may return."""

import functools
import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

Reward = Callable[..., Any]


class NoListError(ValueError):
    """A reward gave something else than a list."""


class WrongNumberError(ValueError):
    """A reward gave more or fewer rewards than there are completions: nobody knows which is whose."""


def reward_name(reward: Reward) -> str:
    """The name TRL logs it by: of the function inside a partial, of an instance's class."""
    while isinstance(reward, functools.partial):
        reward = reward.func
    return getattr(reward, "__name__", type(reward).__name__)


def is_async(reward: Reward) -> bool:
    """Whether calling the reward gives a coroutine; partials and async `__call__` included."""
    while isinstance(reward, functools.partial):
        reward = reward.func
    return inspect.iscoroutinefunction(reward) or inspect.iscoroutinefunction(type(reward).__call__)


def checked_rewards(rewards: Any, num_completions: int) -> list[float | None]:
    """Rewards as floats, None and NaN as None; a ValueError says what was returned instead."""
    if isinstance(rewards, str | Mapping) or not isinstance(rewards, Iterable):
        raise NoListError(
            f"returned {type(rewards).__name__} {rewards!r:.80}, expected a list of {num_completions} rewards"
        )
    rewards = list(rewards)
    if len(rewards) != num_completions:
        raise WrongNumberError(f"returned {len(rewards)} rewards for {num_completions} completions")
    checked: list[float | None] = []
    for reward in rewards:
        try:
            value = math.nan if reward is None else float(reward)
        except (TypeError, ValueError) as error:
            raise _not_a_number(reward) from error
        if isinstance(reward, str):
            raise _not_a_number(reward)
        if math.isinf(value):
            raise ValueError(f"returned {value} as a reward, expected a finite number or None")
        checked.append(None if math.isnan(value) else value)
    return checked


def _not_a_number(reward: Any) -> ValueError:
    kind = type(reward).__name__
    return ValueError(f"returned {reward!r:.80} ({kind}) as a reward, expected a number or None")
